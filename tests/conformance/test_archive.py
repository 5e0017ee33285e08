"""The old part of a log goes into a file, whole, before it is dropped; what is left is sound."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from entities import api as agents
from entities.api import KeyTaken
from entities.testing.runtime import events, look, rows, tell, texts, values, wakes
from entities.types.registry import Registry
from entities.upkeep import doctor
from shared_state import api
from shared_state.log import archive
from shared_state.models import Stream
from tests.support.answering import ANSWER, answered, pruned, speaking, stored


@pytest.fixture(autouse=True)
def _speaker(types: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(types, monkeypatch)


async def archived(url: str, file: Path, *options: str) -> str:
    """What the command said."""
    said = StringIO()
    await look(call_command, "agents", "archive", url, "--to", str(file), *options, stdout=said)
    return said.getvalue()


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("first", [False, True], ids=["whole", "pruned"])
async def test_the_file_holds_what_is_dropped(first: bool, tmp_path: Path) -> None:
    url, file = await answered(), tmp_path / "old.jsonl"
    await answered(url=url)
    if first:
        await pruned()
    before, folded = await events(url), await rows(url, "text")

    said = await archived(url, file, "--keep", "3")

    header, *rest = lines(file)
    held = [line["event"] for line in rest if "event" in line]
    after = await events(url)
    assert held + [event.wire() for event in after] == [event.wire() for event in before]
    assert (header["stream"], header["until"]) == (url, before[-1].offset - 2)
    assert rest[-1]["end"] == {"rows": len([line for line in rest if "row" in line]), "events": len(held)}
    assert f"Dropped {len(held)} events." in said
    assert await rows(url, "text") == folded
    assert await look(lambda: list(doctor.examine())) == []
    assert (await look(Stream.objects.get, path=url)).begins == header["until"]


async def test_the_agent_goes_on(tmp_path: Path) -> None:
    url = await answered()
    await archived(url, tmp_path / "old.jsonl", "--keep", "1")

    await answered(url=url)
    await pruned()

    assert await texts(url) == [ANSWER, ANSWER]
    assert await look(lambda: list(doctor.examine())) == []


async def test_nothing_goes_that_a_wake_may_read(tmp_path: Path) -> None:
    url = await answered()
    message = await tell(url, "And?")

    await archived(url, tmp_path / "old.jsonl", "--keep", "1", "--before", api.format_offset(10**6))

    assert (await look(stored, url))[0][0] == message.offset
    [waiting] = await wakes(url, state="pending")
    assert waiting.from_offset == message.offset


async def test_a_message_whose_event_is_archived_is_known_again(tmp_path: Path) -> None:
    url = await answered()
    first = await tell(url, "Only once.", key="k")
    await answered(url=url)
    await archived(url, tmp_path / "old.jsonl", "--keep", "1")
    assert (await look(stored, url))[0][0] > first.offset

    again = await tell(url, "Only once.", key="k")

    assert (again.repeated, again.offset, again.provenance) == (True, first.offset, first.provenance)
    assert [value["payload"] for value in await values(url, "inbox")].count("Only once.") == 1
    assert await wakes(url, state="pending") == []
    with pytest.raises(KeyTaken):
        await agents.deliver(api.Principal("user", "root", staff=True), url, "Mine.", key="k")


async def test_a_second_part_follows_the_first(tmp_path: Path) -> None:
    url = await answered()
    whole = await events(url)
    await archived(url, tmp_path / "first.jsonl", "--before", api.format_offset(20))
    await archived(url, tmp_path / "second.jsonl", "--before", api.format_offset(40))

    held = [
        line["event"]
        for name in ("first", "second")
        for line in lines(tmp_path / f"{name}.jsonl")
        if "event" in line
    ]
    assert held == [event.wire() for event in whole[:39]]
    assert lines(tmp_path / "second.jsonl")[0]["begins"] == 20


async def test_who_is_cut_off_goes_on_with_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "DROP_EVENTS", 10)
    url, file = await answered(), tmp_path / "old.jsonl"
    whole = await events(url)
    stream = await look(api.get_stream, url)
    await look(archive.export, stream.id, 100, file)
    await look(archive.drop, stream.id, 100)
    written = file.read_bytes()
    assert len(await events(url)) == len(whole) - 10
    assert await look(lambda: list(doctor.examine())) == []

    await answered(url=url)
    said = await archived(url, file, "--keep", "5")

    assert file.read_bytes() == written
    assert "Dropped 89 events" in said
    assert (await events(url))[0].offset == whole[99].offset


@pytest.mark.parametrize(
    ("stream", "content", "words"),
    [
        ("/speaker/nobody", None, "There is no stream"),
        ("", b"", "is no archive of"),
        ("", b'{"stream": "/other", "until": 1000}\n{"end": {"rows": 0, "events": 0}}\n', "is no archive of"),
    ],
)
async def test_what_cannot_be_archived_is_refused(
    stream: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    url, file = await answered(), tmp_path / "old.jsonl"
    before = await look(stored, url)
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(CommandError, match=words):
        await archived(stream or url, file, "--keep", "5")

    assert await look(stored, url) == before
    assert file.exists() == (content is not None)
