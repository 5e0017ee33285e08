"""A schema that agrees with the stored one keeps every field of both, wherever it stands."""

from typing import Any

import pytest

from shared_state.core.growth import differences, grown

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def fields(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def having(schema: dict[str, Any], **definitions: Any) -> dict[str, Any]:
    return {**schema, "$defs": definitions}


STORED, GIVEN, BOTH = fields(x=TEXT), fields(y=TEXT), fields(x=TEXT, y=TEXT)
AGREEING = {
    "written out": (fields(a=STORED), fields(a=GIVEN), fields(a=BOTH)),
    "in a list": (
        fields(a={"type": "array", "items": STORED}),
        fields(a={"type": "array", "items": GIVEN}),
        fields(a={"type": "array", "items": BOTH}),
    ),
    "of one name": (
        having(fields(a=ref("A")), A=STORED), having(fields(a=ref("A")), A=GIVEN),
        having(fields(a=ref("A")), A=BOTH),
    ),
    "renamed": (
        having(fields(a=ref("A")), A=STORED), having(fields(a=ref("B")), B=GIVEN),
        having(fields(a=ref("B")), B=BOTH),
    ),
    "one written out, one not": (
        fields(a=STORED), having(fields(a=ref("B")), B=GIVEN), having(fields(a=BOTH), B=GIVEN),
    ),
    "or nothing": (
        having(fields(a={"anyOf": [ref("A"), {"type": "null"}]}), A=STORED),
        having(fields(a={"anyOf": [ref("A"), {"type": "null"}]}), A=GIVEN),
        having(fields(a={"anyOf": [ref("A"), {"type": "null"}]}), A=BOTH),
    ),
    "within itself": (
        having(ref("A"), A=fields(x=TEXT, next=ref("A"))), having(ref("B"), B=fields(y=TEXT, next=ref("B"))),
        having(ref("B"), B=fields(x=TEXT, next=ref("B"), y=TEXT)),
    ),
    "with what a field needs": (
        having(fields(a=ref("A")), A=STORED), fields(b=TEXT), having(fields(a=ref("A"), b=TEXT), A=STORED),
    ),
    "a name that means another thing": (
        having(fields(a=ref("A")), A=STORED), having(fields(b=ref("A")), A=fields(x=NUMBER)),
        having(fields(a=ref("A_stored"), b=ref("A")), A=fields(x=NUMBER), A_stored=STORED),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AGREEING)
def test_no_field_of_either_is_lost(case: str) -> None:
    stored, given, both = AGREEING[case]

    assert list(differences(stored, given)) == []
    assert grown(stored, given) == both
    assert list(differences(both, given)) == list(differences(stored, both)) == []


@pytest.mark.parametrize("depth", range(1, 5))
def test_what_refers_to_itself_is_compared_as_deep_as_the_other_is_written_out(depth: int) -> None:
    written = fields(x=NUMBER)
    for _ in range(depth):
        written = fields(next=written)
    itself = having(ref("A"), A=fields(x=TEXT, next=ref("A")))

    assert len(list(differences(itself, written))) == len(list(differences(written, itself))) == 1


def test_references_that_lead_to_each_other_come_to_an_end() -> None:
    circle = having(ref("A"), A=ref("B"), B=ref("A"))

    assert list(differences(circle, circle)) == []
    assert grown(circle, circle) == circle
