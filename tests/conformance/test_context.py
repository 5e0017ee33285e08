"""What `ctx` and `wake` say of themselves: who, why, which events, what is there to read."""

from __future__ import annotations

from typing import Any

from entities.api import Collection, RunFinished
from entities.testing.runtime import entity, handle_all, handle_next, spawn, tell, values
from entities.types.registry import Registry


class Witness:
    """A type that notes what its handler is given, wake by wake."""

    def __init__(self, types: Registry, *look_at: str) -> None:
        self.seen: list[dict[str, Any]] = []

        @types.define("witness", state={"mine": Collection()})
        async def witness(ctx: Any, wake: Any) -> None:
            found = {name: getattr(wake if hasattr(wake, name) else ctx, name) for name in look_at}
            self.seen.append(found | {"events": [event.value.get("payload") for event in ctx.events]})


async def test_identity_arguments_and_tags_are_there(types: Registry) -> None:
    witness = Witness(types, "entity_url", "entity_type", "args", "tags", "title", "principal")

    @types.define("parent")
    async def parent(ctx: Any, wake: Any) -> None:
        more = {"tags": {"team": "red"}, "title": "The witness"}
        await ctx.spawn("witness", "w", {"a": [1]}, initial_message="go", **more)

    url = await spawn("parent", message="go")
    await handle_all()

    (seen,) = witness.seen
    assert (seen["entity_url"], seen["entity_type"]) == ("/witness/w", "witness")
    assert (seen["args"], seen["tags"], seen["title"]) == ({"a": [1]}, {"team": "red"}, "The witness")
    assert seen["principal"] == f"agent:{url}"


async def test_a_wake_by_messages_says_which_and_from_whom(types: Registry) -> None:
    witness = Witness(
        types, "type", "source", "payload", "from_offset", "to_offset", "event_count", "summary"
    )
    url = await spawn("witness", message="first")
    await tell(url, "second")
    await handle_next()
    await tell(url, {"n": 3})
    await handle_next()

    one, two = witness.seen
    assert (one["type"], one["source"], one["payload"]) == ("inbox", "user:ada", "second")
    assert (one["events"], one["summary"]) == (["first", "second"], "2 messages")
    assert (two["payload"], two["events"], two["summary"]) == ({"n": 3}, [{"n": 3}], "1 message")
    for seen in witness.seen:
        assert seen["event_count"] == seen["to_offset"] - seen["from_offset"] > 0
    assert one["to_offset"] <= two["from_offset"]


async def test_a_wake_by_a_child_says_what_it_did(types: Registry) -> None:
    seen: list[Any] = []

    @types.define("helper")
    async def helper(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("Done.")

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn("helper", "one", initial_message="go", wake=RunFinished())
            await ctx.spawn("helper", "two", wake=RunFinished())
        else:
            seen.append((wake, [event.type for event in ctx.events]))

    await spawn("boss", message="go")
    await handle_all()

    ((wake, types_of_events),) = seen
    assert (wake.type, wake.source) == ("wake", "/helper/one")
    assert set(wake.payload) >= {
        "timestamp", "source", "timeout", "changes", "finished_child", "other_children",
    }  # fmt: skip
    assert (wake.payload["timeout"], wake.payload["changes"]) == (False, [])
    assert wake.payload["finished_child"]["response"] == "Done."
    assert wake.payload["other_children"] == [{"url": "/helper/two", "type": "helper", "status": "idle"}]
    assert wake.summary == "/helper/one finished: completed"
    assert types_of_events == ["wake", "child_status"]


async def test_built_in_collections_are_read_like_ones_own(types: Registry) -> None:
    found: dict[str, Any] = {}

    @types.define("reader", state={"mine": Collection()})
    async def reader(ctx: Any, wake: Any) -> None:
        await ctx.state.mine.insert(key="k", value=1)
        read = ctx.db.collections
        found["mine"] = await read.mine.all()
        found["inbox"] = [row["payload"] for row in await read.inbox.filter(status="pending")]
        found["created"] = (await read.entity_created.get("created"))["entity_type"]
        found["runs"] = await read.runs.count()
        found["writable"] = hasattr(read.inbox, "insert")

    await spawn("reader", message="go")
    await handle_all()

    assert found == {
        "mine": [{"key": "k", "value": 1}], "inbox": ["go"], "created": "reader", "runs": 0,
        "writable": False,
    }  # fmt: skip


async def test_to_sleep_is_to_go_idle_until_something_happens(types: Registry) -> None:
    woken: list[Any] = []

    @types.define("sleeper")
    async def sleeper(ctx: Any, wake: Any) -> None:
        woken.append(wake.payload)
        ctx.sleep()

    url = await spawn("sleeper", message="one")
    await handle_all()
    assert (await entity(url)).status == "idle"
    await tell(url, "two")
    await handle_all()

    assert woken == ["one", "two"]
    assert [row["status"] for row in await values(url, "inbox")] == ["processed", "processed"]
