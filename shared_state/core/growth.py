"""Whether a schema agrees with the one that is stored, and what the two come to. Pure functions of JSON.

Words agree (titles, descriptions, examples, defaults), and so do optional fields that only one of them has:
every row that there is fits both. Fields are never taken away: whoever wrote them still runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared_state.core.types import Json

_WORDS = frozenset({
    "title", "description", "examples", "default", "deprecated", "$comment", "readOnly", "writeOnly",
})  # fmt: skip
_APART = frozenset({"properties", "required", "$defs", "$ref", "discriminator"})
_INNER = ("items", "additionalProperties", "not", "contains", "propertyNames")
_ALTERNATIVES = ("anyOf", "oneOf", "allOf", "prefixItems")
_DEFINITIONS = "#/$defs/"
_Pairs = frozenset[tuple[str, str]]


def differences(stored: Json, given: Json) -> Iterator[str]:
    """Where two schemas of rows disagree, and what each says there."""
    return _Comparison(stored, given).at("", stored, given, frozenset())


def grown(stored: Json, given: Json) -> Json:
    """The given schema, which agrees with the stored one, with the optional fields that only that one has."""
    return _Union(stored, given).found()


class _Comparison:
    """Two schemas, each with its own definitions; a definition's name is no rule."""

    def __init__(self, stored: Json, given: Json) -> None:
        self._definitions = stored.get("$defs", {}), given.get("$defs", {})

    def at(self, where: str, there: Any, here: Any, seen: _Pairs) -> Iterator[str]:
        if not isinstance(there, dict) or not isinstance(here, dict):
            if there != here:
                yield _said(where, there, here)
            return
        references = str(there.get("$ref", "")), str(here.get("$ref", ""))
        if references != ("", ""):
            if references in seen:
                return
            if all(references):  # where one of them is written out, that one comes to an end
                seen |= {references}
            there, here = _resolved(there, self._definitions[0]), _resolved(here, self._definitions[1])
        yield from self._fields(where, there, here, seen)
        for rule in sorted((there.keys() | here.keys()) - _WORDS - _APART):
            yield from self._rule(where, rule, (there.get(rule), here.get(rule)), seen)

    def _rule(self, where: str, rule: str, both: tuple[Any, Any], seen: _Pairs) -> Iterator[str]:
        there, here = both
        if rule in _INNER:
            yield from self.at(f"{where}[]", there, here, seen)
        elif isinstance(there, list) and isinstance(here, list) and rule in _ALTERNATIVES:
            if len(there) != len(here):
                yield _said(where, there, here, rule)
            for one, other in zip(there, here, strict=False):
                yield from self.at(where, one, other, seen)
        elif there != here:
            yield _said(where, there, here, rule)

    def _fields(self, where: str, there: Json, here: Json, seen: _Pairs) -> Iterator[str]:
        ours, theirs = here.get("properties", {}), there.get("properties", {})
        for name in dict.fromkeys([*theirs, *ours]):
            place = f"{where}.{name}" if where else name
            needs = tuple(name in side.get("required", ()) for side in (there, here))
            if name in ours and name in theirs:
                yield from self.at(place, theirs[name], ours[name], seen)
                if needs[0] != needs[1]:
                    yield _said(place, *("required" if needed else "optional" for needed in needs))
            elif any(needs):
                yield _said(place, *("required" if needed else "no such field" for needed in needs))


class _Union:
    """Two schemas that agree, as one: the given one, and the stored one's own fields, however deep."""

    def __init__(self, stored: Json, given: Json) -> None:
        self._stored, self._given = stored, given
        self._there: Json = stored.get("$defs", {})
        self._here: Json = dict(given.get("$defs", {}))
        self._pairs: list[tuple[str, str]] = []
        self._names: dict[str, str] = {}

    def found(self) -> Json:
        """The union, with its definitions."""
        schema = {**self._of(self._stored, self._given)}
        for there, here in self._pairs:  # which grow meanwhile
            if there in self._there and here in self._here:
                self._here[here] = self._of(self._there[there], self._here[here])
        if self._here:
            schema["$defs"] = self._here
        return schema

    def _of(self, there: Any, here: Any) -> Any:
        if not isinstance(there, dict) or not isinstance(here, dict):
            return here
        if "$ref" in there and "$ref" in here:
            self._pair(_name(there), _name(here))
            return here
        if "$ref" in there or "$ref" in here:
            there, here = _resolved(there, self._there), _resolved(here, self._here)
        found = dict(here)
        for rule in here.keys() & there.keys():
            if rule in _INNER:
                found[rule] = self._of(there[rule], here[rule])
            elif rule in _ALTERNATIVES:
                found[rule] = [
                    self._of(one, other) for one, other in zip(there[rule], here[rule], strict=False)
                ]
        if "properties" in there:
            found["properties"] = self._fields(there["properties"], here.get("properties", {}))
        return found

    def _fields(self, there: Json, here: Json) -> Json:
        kept = {name: self._moved(schema) for name, schema in there.items() if name not in here}
        both = {name: self._of(there.get(name), schema) for name, schema in here.items()}
        return {name: kept.get(name, both.get(name)) for name in dict.fromkeys([*there, *here])}

    def _moved(self, schema: Any) -> Any:
        """A stored field's schema, with the definitions that it needs."""
        if isinstance(schema, list):
            return [self._moved(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        moved = {rule: self._moved(each) for rule, each in schema.items()}
        if isinstance(moved.get("$ref"), str) and (name := _name(moved)) in self._there:
            moved["$ref"] = f"{_DEFINITIONS}{self._defined(name)}"
        return moved

    def _defined(self, name: str) -> str:
        """What a stored definition is called here, where its name may be another's."""
        if name in self._names:
            return self._names[name]
        this = {"$ref": f"{_DEFINITIONS}{name}"}
        comparison = _Comparison(self._stored, self._given)
        if name in self._here and not any(comparison.at("", this, this, frozenset())):
            self._pair(name, name)
            return name
        kept = name
        while kept in self._here:
            kept += "_stored"
        self._names[name] = kept
        self._here[kept] = {}  # taken, while what it needs is moved
        self._here[kept] = self._moved(self._there[name])
        return kept

    def _pair(self, there: str, here: str) -> None:
        if (there, here) not in self._pairs:
            self._pairs.append((there, here))


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).removeprefix(_DEFINITIONS)


def _resolved(schema: Json, definitions: Mapping[str, Any]) -> Json:
    """What a reference stands for, also where that is a reference; as it is if it leads nowhere."""
    followed = set()
    while "$ref" in schema and (name := _name(schema)) not in followed:
        if not isinstance(definitions.get(name), dict):
            break
        followed.add(name)
        schema = {**definitions[name], **{rule: each for rule, each in schema.items() if rule != "$ref"}}
    return schema


def _said(where: str, there: Any, here: Any, rule: str = "") -> str:
    of = f", {rule}" if rule else ""
    return f"{where or 'the row'!r}{of} (stored: {there!r:.100}; given: {here!r:.100})"
