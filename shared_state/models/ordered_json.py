"""JSON whose objects keep the order of their keys: what people declared is shown as they declared it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class OrderedJSONField(models.JSONField):
    """A `JSONField` that is `json` on PostgreSQL, where `jsonb` sorts keys by length. Not to be searched."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """The type of the column."""
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """As text: Django's own adapter would make `jsonb` of it first."""
        if connection.vendor != "postgresql" or value is None:
            return super().get_db_prep_value(value, connection, prepared)
        from psycopg.types.json import Json

        return Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """PostgreSQL's driver has read it already."""
        if connection.vendor == "postgresql":
            return value
        return super().from_db_value(value, expression, connection)
