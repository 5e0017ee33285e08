"""How a model's records are read and written in bulk, as text for each database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import orjson
from django.db import models
from django.db.models.base import ModelState

from shared_state.core import database
from shared_state.write.statements import (
    Values,
    array,
    json_array,
    moment,
    on_postgres,
    postgres_fetch,
    postgres_run,
    sqlite_each,
    sqlite_fetch,
    sqlite_stamp,
)

M = TypeVar("M", bound=models.Model)


class Plan:
    """The statements for one model. Records are model instances; only concrete fields are known."""

    def __init__(self, model: type[models.Model], *, postgres: bool) -> None:
        self.model = model
        self._postgres = postgres
        fields = model._meta.concrete_fields
        self._names = [field.attname for field in fields]
        self._json = frozenset(f.attname for f in fields if isinstance(f, models.JSONField))
        self._moments = frozenset(f.attname for f in fields if isinstance(f, models.DateTimeField))
        connection = database.connection()
        # A cast to varchar(n) would cut what is too long without a word.
        kinds = {field.attname: str(field.rel_db_type(connection)) for field in fields}
        self._kinds = {name: "text" if kind.startswith("varchar") else kind for name, kind in kinds.items()}
        self._columns = {field.attname: connection.ops.quote_name(str(field.column)) for field in fields}
        self._table = connection.ops.quote_name(model._meta.db_table)
        self._key = model._meta.pk.attname
        self.selected = ", ".join(f"t.{self._columns[name]}" for name in self._names)
        self._loading = [
            (name, orjson.loads if name in self._json else moment)
            for name in self._names
            if name in self._json | self._moments
        ]
        self._defaults = [(field.attname, field.get_default) for field in fields]
        self._updates: dict[tuple[str, ...], str] = {}

    def records(self, rows: Iterable[Values]) -> Iterator[Any]:
        """The records behind rows of `selected`, as `Model.from_db` makes them, which asks every field.

        No `pre_init` and `post_init` are sent.
        """
        names, alias = self._names, database.alias()
        for values in rows:
            record = self._bare()
            record._state.adding, record._state.db = False, alias
            attributes = record.__dict__
            attributes.update(zip(names, values, strict=True))
            for name, load in self._loading:
                if attributes[name] is not None:
                    attributes[name] = load(attributes[name])
            yield record

    def new(self, fields: Mapping[str, Any]) -> Any:
        """A record that is not stored yet, of values by the names of columns; the others have their defaults.

        As the model's constructor makes it, at a fifth of the price. Raises `TypeError` for other names.
        """
        if strangers := fields.keys() - self._columns.keys():
            raise TypeError(f"{self.model.__name__} has no column {', '.join(sorted(strangers))}.")
        record = self._bare()
        attributes = record.__dict__
        for name, default in self._defaults:
            attributes[name] = default()
        attributes.update(fields)
        return record

    def _bare(self) -> Any:
        record = self.model.__new__(self.model)
        record._state = ModelState()
        return record

    def by_column(self, column: str, condition: str, *, free: bool) -> str:
        """A statement for the records whose column holds one of many values; see `fetch`.

        `free` locks them, and leaves out those that somebody else has locked.
        """
        quoted, more = self._columns[column], f" AND {condition}" if condition else ""
        if self._postgres:
            locked = f" ORDER BY t.{self._columns[self._key]} FOR UPDATE SKIP LOCKED" if free else ""
            kind = self._kinds[column]
            return (
                f"SELECT {self.selected} FROM {self._table} AS t "  # noqa: S608  names are ours, here and below
                f"WHERE t.{quoted} = ANY(%s::{kind}[]){more}{locked}"
            )
        return (
            f"SELECT {self.selected} FROM json_each(?) AS k CROSS JOIN {self._table} AS t "  # noqa: S608
            f"ON t.{quoted} = k.value{more}"
        )

    def fetch(self, sql: str, keys: Sequence[Any]) -> list[Values]:
        """What a statement of `by_column` finds."""
        if self._postgres:
            return postgres_fetch(sql, [array(keys)])
        return sqlite_fetch(sql, (json_array(keys),))

    def insert(self, records: Iterable[models.Model]) -> None:
        """Write new records. Raises `IntegrityError`."""
        self._each(self._insertion, self._names, records)

    def update(self, names: tuple[str, ...], records: Iterable[models.Model]) -> None:
        """Write some columns of records."""
        if names not in self._updates:
            self._updates[names] = self._update(names)
        self._each(self._updates[names], (*names, self._key), records)

    def delete(self, keys: Sequence[Any]) -> None:
        """Delete records alone: nothing may refer to them."""
        key = self._columns[self._key]
        if self._postgres:
            kind = self._kinds[self._key]
            postgres_run(f"DELETE FROM {self._table} WHERE {key} = ANY(%s::{kind}[])", [array(keys)])  # noqa: S608
        else:
            sqlite_each(f"DELETE FROM {self._table} WHERE {key} = ?", [(one,) for one in keys])  # noqa: S608

    def ids(self, count: int) -> list[int]:
        """Keys for new records, which nobody else gets: PostgreSQL gives each away once."""
        sql = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"
        found = postgres_fetch(sql, [self.model._meta.db_table, self.model._meta.pk.column, count])
        return [ident for (ident,) in found]

    def last_id(self) -> int:
        """The last key that SQLite gave away. Those after it are this transaction's."""
        name = self.model._meta.db_table
        known = sqlite_fetch("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,))
        return int(known[0][0]) if known else 0

    def _each(self, sql: str, names: Sequence[str], records: Iterable[models.Model]) -> None:
        if self._postgres:
            columns = [[self._stored(name, getattr(one, name)) for one in records] for name in names]
            postgres_run(sql, [array(column) for column in columns])
        else:
            sqlite_each(sql, [[self._stored(n, getattr(one, n)) for n in names] for one in records])

    def _stored(self, name: str, value: Any) -> Any:
        if name in self._json:
            return None if value is None else orjson.dumps(value).decode()
        if name in self._moments and value is not None:
            return value if self._postgres else sqlite_stamp(value)
        return value

    @property
    def _insertion(self) -> str:
        columns = ", ".join(self._columns[name] for name in self._names)
        if not self._postgres:
            return f"INSERT INTO {self._table} ({columns}) VALUES ({', '.join('?' * len(self._names))})"  # noqa: S608
        return f"INSERT INTO {self._table} ({columns}) {self._unnested(self._names)}"

    def _update(self, names: Sequence[str]) -> str:
        key = self._columns[self._key]
        if not self._postgres:
            values = ", ".join(f"{self._columns[name]} = ?" for name in names)
            return f"UPDATE {self._table} SET {values} WHERE {key} = ?"  # noqa: S608
        values = ", ".join(f"{self._columns[name]} = n.{self._columns[name]}" for name in names)
        given = self._unnested((*names, self._key))
        return f"UPDATE {self._table} AS t SET {values} FROM ({given}) AS n WHERE t.{key} = n.{key}"  # noqa: S608

    def _unnested(self, names: Sequence[str]) -> str:
        columns = ", ".join(self._columns[name] for name in names)
        chosen = ", ".join(f"{self._columns[name]}::{self._kinds[name]}" for name in names)
        texts = ", ".join(["%s::text[]"] * len(names))
        return f"SELECT {chosen} FROM unnest({texts}) AS n({columns})"  # noqa: S608


@cache
def _plan(model: type[models.Model], postgres: bool) -> Plan:
    return Plan(model, postgres=postgres)


def plan(model: type[models.Model]) -> Plan:
    """The statements for a model in the streams' database."""
    return _plan(model, on_postgres())


def new_record(model: type[M], **fields: Any) -> M:
    """A record for `Tables.add`; see `Plan.new`."""
    made: M = plan(model).new(fields)
    return made
