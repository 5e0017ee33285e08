"""Faults in the settings are said at the start, each by its id."""

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connection, connections
from pytest_django import Settings

from entities.conf import OFFLINE
from entities.testing.runtime import anthropic, offline
from entities.types.registry import TypeDefinition, registry

OURS = ("entities.", "shared_state.")


def faults(*, deploy: bool = False) -> dict[str, CheckMessage]:
    """Our messages by id."""
    found = run_checks(include_deployment_checks=deploy)
    return {message.id: message for message in found if message.id and message.id.startswith(OURS)}


def test_the_settings_as_they_are_have_none() -> None:
    assert faults() == {}


@pytest.mark.parametrize(("name", "app"), [("SHARED_STATE", "shared_state"), ("ENTITIES", "entities")])
@pytest.mark.parametrize(
    ("value", "number"),
    [
        (["POLL_SECONDS"], "E001"),
        ({"POLL_SECOND": 1}, "E002"),
        ({"POLL_SECONDS": "often"}, "E003"),
        ({"POLL_SECONDS": None}, "E003"),
        ({"POLL_SECONDS": 0}, "E004"),
        ({"POLL_SECONDS": -1.5}, "E004"),
    ],
)
def test_a_fault_in_a_mapping_has_its_id(
    name: str, app: str, value: Any, number: str, settings: Settings
) -> None:
    setattr(settings, name, value)

    assert set(faults()) == {f"{app}.{number}"}


def test_a_misspelt_key_is_told_how_it_is_spelt(settings: Settings) -> None:
    settings.SHARED_STATE = {"MAX_EVENT_BYTE": 5}

    message = faults()["shared_state.E002"]

    assert "'MAX_EVENT_BYTE'" in message.msg
    assert message.hint == "Did you mean MAX_EVENT_BYTES?"


def test_zero_words_per_second_means_as_fast_as_possible(settings: Settings) -> None:
    settings.ENTITIES = {"PROVIDERS": offline(0)}

    assert faults() == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"PROVIDERS": {"default": {"BACKEND": "oracle.Delphi"}}}, {"entities.E005"}),
        ({"PROVIDERS": {"default": {"BACKEND": OFFLINE, "OPTIONS": {"pace": 1}}}}, {"entities.E005"}),
        ({"PROVIDERS": {"other": {"BACKEND": OFFLINE}}}, {"entities.E005"}),
        ({"PROVIDERS": {"default": OFFLINE}}, {"entities.E003"}),
        ({"PROVIDERS": OFFLINE}, {"entities.E003"}),
        ({"PROVIDERS": anthropic("")}, {"entities.W006"}),
        ({"PROVIDERS": anthropic("k")}, set()),
        ({"PROVIDERS": anthropic("", "http://localhost:1")}, set()),
        ({"MAX_MESSAGE_BYTES": 1024 * 1024}, {"entities.E007"}),
    ],
)
def test_values_have_to_fit_each_other(value: dict[str, Any], expected: set[str], settings: Settings) -> None:
    settings.ENTITIES = value

    assert set(faults()) == expected


def test_no_message_shows_a_key(settings: Settings) -> None:
    settings.ENTITIES = {
        "PROVIDERS": anthropic("sk-secret") | {"odd": "sk-secret"},
        "LEASE_SECONDS": "x",
        "NONE": 1,
    }

    assert "sk-secret" not in repr(faults())


def test_a_database_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "oracle")

    assert "shared_state.E005" in faults()


def test_sqlite_must_wait_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        return
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", "DEFERRED")

    assert "shared_state.E006" in faults()


def test_a_deployment_for_many_processes_needs_a_layer(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    assert "shared_state.W008" in faults(deploy=True)
    assert "shared_state.W008" not in faults()


def test_a_board_shows_a_collection_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(ctx: Any, wake: Any) -> None:
        """Nothing."""

    board = {"kind": "board", "status": {"collection": "statuses"}}
    found = TypeDefinition("odd", handler, "here:1", boards=(board,))
    monkeypatch.setitem(registry._types, "odd", found)

    assert "'statuses'" in faults()["entities.E008"].msg
