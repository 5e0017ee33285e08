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
_Pairs = frozenset[tuple[str, str]]


def differences(stored: Json, given: Json) -> Iterator[str]:
    """Where two schemas of rows disagree, and what each says there."""
    return _Comparison(stored, given).at("", stored, given, frozenset())


def grown(stored: Json, given: Json) -> Json:
    """The given schema, which agrees with the stored one, with the optional fields that only that one has."""
    found = _with_fields(stored, given)
    there, here = stored.get("$defs", {}), given.get("$defs", {})
    if there or here:
        both = {name: _with_fields(there.get(name, {}), schema) for name, schema in here.items()}
        found["$defs"] = {**both, **{name: schema for name, schema in there.items() if name not in here}}
    return found


def _with_fields(stored: Json, given: Json) -> Json:
    if "properties" not in stored:
        return dict(given)
    return {**given, "properties": {**stored["properties"], **given.get("properties", {})}}


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
            seen |= {references}
            there, here = _resolved(there, self._definitions[0]), _resolved(here, self._definitions[1])
        yield from self._fields(where, there, here, seen)
        for rule in sorted((there.keys() | here.keys()) - _WORDS - _APART):
            yield from self._rule(where, rule, (there.get(rule), here.get(rule)), seen)

    def _rule(self, where: str, rule: str, both: tuple[Any, Any], seen: _Pairs) -> Iterator[str]:
        there, here = both
        if rule in ("items", "additionalProperties", "not", "contains", "propertyNames"):
            yield from self.at(f"{where}[]", there, here, seen)
        elif (
            isinstance(there, list)
            and isinstance(here, list)
            and rule in ("anyOf", "oneOf", "allOf", "prefixItems")
        ):
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


def _resolved(schema: Json, definitions: Mapping[str, Any]) -> Json:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**definitions[name], **schema} if isinstance(definitions.get(name), dict) else schema


def _said(where: str, there: Any, here: Any, rule: str = "") -> str:
    of = f", {rule}" if rule else ""
    return f"{where or 'the row'!r}{of} (stored: {there!r:.100}; given: {here!r:.100})"
