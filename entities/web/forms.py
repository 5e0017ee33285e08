"""Forms from JSON Schemas: the arguments of a new agent, asked for field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import orjson
from django import forms

from entities.models import EntityType
from shared_state.api import decoded

LONG_TEXT = 200
"""A text field that may be longer, or whose name says so, gets more than one line."""
LONG_NAMES = ("prompt", "text", "message", "description", "instructions", "content", "notes", "body")
ARGUMENT = "arg-"
"""Prefix of the schema's fields, so that one may be called `message` or `id`."""


class ChatForm(forms.Form):
    """The composer of the home page: a first message, and a key that makes sending it twice harmless."""

    message = forms.CharField(
        strip=True, max_length=50_000, error_messages={"required": "Write a message first."}
    )
    key = forms.SlugField(max_length=64)


class NewAgentForm(forms.Form):
    """A new agent of a type: its arguments from the type's schema, its id, and a first message."""

    error_css_class = "field-bad"

    def __init__(self, type: EntityType, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        schema = type.creation_schema or {}
        required = set(schema.get("required", ()))
        for name, rule in schema.get("properties", {}).items():
            whole = resolved(rule, schema)
            self.fields[ARGUMENT + name] = field_of(name, whole, required=name in required)
        self.fields["id"] = forms.RegexField(
            r"^[A-Za-z0-9][A-Za-z0-9._~-]*$",
            max_length=128,
            label="Id",
            help_text="Its address is this type and this id.",
            error_messages={"invalid": "Letters, digits and . _ ~ - only, beginning with a letter or digit."},
        )
        self.fields["message"] = forms.CharField(
            required=False,
            label="First message",
            widget=_area(3),
            max_length=50_000,
            help_text="The agent starts working on it at once. You can also send one later.",
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """What was entered, without what was left empty: the schema's defaults apply to that."""
        found = {}
        for name, value in self.cleaned_data.items():
            if name.startswith(ARGUMENT) and value not in (None, "", []):
                found[name.removeprefix(ARGUMENT)] = value
        return found

    def blame(self, message: str) -> None:
        """Show a refusal at the field that it names, else above the form."""
        for name in self.fields:
            bare = name.removeprefix(ARGUMENT)
            # Refusals name a place in the arguments: `, tools:`, `, tools[0]:`, `, tools.name:`.
            named = re.search(rf", {re.escape(bare)}[:.\[]", message) or f"'{bare}'" in message
            if name.startswith(ARGUMENT) and named:
                self.add_error(name, message)
                return
        self.add_error(None, message)


class JsonField(forms.CharField):
    """Any JSON, checked as it is typed in."""

    def to_python(self, value: Any) -> Any:
        """The JSON's value. An empty field is nothing."""
        text = super().to_python(value)
        if not text:
            return None
        try:
            return decoded(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None


class LinesField(forms.CharField):
    """A list of texts, one in each line."""

    def to_python(self, value: Any) -> Any:
        """The lines that are not empty."""
        return [line.strip() for line in str(super().to_python(value) or "").splitlines() if line.strip()]


def resolved(rule: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A property with its `$ref` followed, and `X or null` taken as X."""
    whole = dict(rule)
    options = [option for option in whole.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        whole = {**options[0], **{key: value for key, value in whole.items() if key != "anyOf"}}
    reference = str(
        whole.get("$ref") or next((r.get("$ref") for r in whole.get("allOf", ()) if "$ref" in r), "")
    )
    if reference.startswith("#/$defs/"):
        target = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        whole = {**target, **{key: value for key, value in whole.items() if key not in ("$ref", "allOf")}}
    return whole


def field_of(name: str, rule: Mapping[str, Any], *, required: bool) -> forms.Field:
    """The form field for one property of a JSON Schema."""
    common: dict[str, Any] = {
        "label": rule.get("title") or name.replace("_", " ").capitalize(),
        "help_text": rule.get("description", ""),
        "required": required,
        "initial": rule.get("default"),
    }
    kind = rule.get("type")
    if "enum" in rule and all(isinstance(value, str) for value in rule["enum"]):
        return _choice(rule, common)
    if kind == "boolean":
        return forms.BooleanField(**{**common, "required": False})
    if kind in ("integer", "number"):
        return _number(rule, common)
    if kind == "string":
        return _text(name, rule, common)
    if kind == "array" and (rule.get("items") or {}).get("type") == "string" and "enum" not in rule["items"]:
        initial = "\n".join(map(str, common["initial"] or []))
        lines = LinesField(**{**common, "initial": initial}, widget=_area(3))
        lines.help_text = f"{common['help_text']} One in each line.".strip()
        return lines
    initial = (
        ""
        if common["initial"] is None
        else orjson.dumps(common["initial"], option=orjson.OPT_INDENT_2).decode()
    )
    field = JsonField(**{**common, "initial": initial}, widget=_area(5))
    field.widget.attrs["class"] = "code"
    field.help_text = f"{common['help_text']} As JSON.".strip()
    return field


def _choice(rule: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    choices = [(value, value) for value in rule["enum"]]
    if not common["required"] and common["initial"] is None:
        choices.insert(0, ("", "–"))
    return forms.ChoiceField(**common, choices=choices)


def _number(rule: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    field = forms.IntegerField if rule["type"] == "integer" else forms.FloatField
    return cast("forms.Field", field(**common, min_value=rule.get("minimum"), max_value=rule.get("maximum")))


def _text(name: str, rule: Mapping[str, Any], common: dict[str, Any]) -> forms.Field:
    longest = rule.get("maxLength")
    is_long = any(word in name for word in LONG_NAMES) or (longest or 0) > LONG_TEXT
    return forms.CharField(
        **common,
        min_length=rule.get("minLength"),
        max_length=longest,
        widget=_area(4) if is_long else forms.TextInput(),
    )


def _area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})
