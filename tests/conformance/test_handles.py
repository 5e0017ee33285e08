"""What a handler can do with another entity: message it, read it, ask how it is; never wait for it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from entities.api import Change, InvalidInput, RunFinished, entity
from entities.models import Entity, Subscription
from entities.testing.runtime import (
    expire,
    handle_all,
    handle_next,
    look,
    recover,
    said_to,
    spawn,
    values,
)
from entities.types.registry import Registry
from tests.support.killing import Killed


class Order(BaseModel):
    """A message with a kind."""

    article: str


@pytest.fixture(autouse=True)
def clerk(types: Registry) -> None:
    """A child that takes orders and says what it got."""

    @types.define("clerk", inbox_schemas={"order": Order})
    async def clerk(ctx: Any, wake: Any) -> None:
        kinds = [event.value["message_type"] for event in ctx.events]
        await ctx.reply_text(f"{kinds} {wake.payload}")


async def test_the_first_message_may_have_a_kind(types: Registry) -> None:
    refused: list[str] = []

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        good = {"initial_message": {"article": "tea"}, "initial_message_type": "order"}
        await ctx.spawn("clerk", "good", **good)
        try:
            await ctx.spawn("clerk", "bad", **{**good, "initial_message": {"article": 1}})
        except InvalidInput as error:
            refused.append(str(error))

    await spawn("boss", message="go")
    await handle_all()

    (message,) = await values("/clerk/good", "inbox")
    assert (message["payload"], message["message_type"]) == ({"article": "tea"}, "order")
    assert refused == ["message order, article: 1 is not of type 'string'"]
    assert not await look(Entity.objects.filter(url="/clerk/bad").exists)


async def test_a_handle_messages_reads_and_says_how_it_is(types: Registry) -> None:
    found: dict[str, Any] = {}

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            child = await ctx.spawn("clerk", "one", wake=RunFinished())
            found["before"] = (child.entity_url, child.type, await child.status())
            await child.send({"article": "tea"}, type="order")
            await child.send("and quickly")
            found["sent"] = await child.status()
            return
        child = await ctx.observe(entity("/clerk/one"))
        log = await child.events()
        found["log"] = [event.type for event in log][:4]
        found["later"] = [event.type for event in await child.events(after=log[-2].offset)]
        found["said"] = [row["content"] for row in await child.db.collections.texts.all()]

    url = await spawn("boss", message="go")
    await handle_all()

    assert found["before"] == ("/clerk/one", "clerk", "idle")
    assert found["sent"] in ("idle", "spawning")
    assert found["log"] == ["entity_created", "inbox", "inbox", "run"]
    assert len(found["later"]) == 1
    assert found["said"] == ["['order', None] and quickly"]
    senders = {message["from"] for message in await values("/clerk/one", "inbox")}
    assert senders == {f"agent:{url}"}


async def test_the_same_words_twice_are_two_messages_and_a_repeated_wake_sends_none(types: Registry) -> None:
    tries: list[int] = []

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        for _ in range(2):
            await ctx.send("/clerk/one", "hello")
        tries.append(1)
        if len(tries) == 1:
            raise Killed

    await spawn("clerk", "one")
    url = await spawn("boss", message="go")
    with pytest.raises(Killed):
        await handle_next()
    await expire(url)
    await recover()
    await handle_all("heir")

    assert len(tries) == 2
    assert await said_to("/clerk/one") == ["hello", "hello"]


async def test_a_child_that_is_not_to_be_observed_wakes_nobody(types: Registry) -> None:
    reasons: list[str] = []

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        reasons.append(wake.type)
        if wake.type == "inbox":
            await ctx.spawn("clerk", "one", initial_message="go", wake=RunFinished(), observe=False)

    await spawn("boss", message="go")
    await handle_all()

    assert reasons == ["inbox"]
    assert not await look(Subscription.objects.exists)


async def test_a_child_may_be_watched_by_its_changes(types: Registry) -> None:
    seen: list[Any] = []

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn("clerk", "one", initial_message="go", wake=Change(collections=["texts"]))
        else:
            seen.append([(change["collection"], change["kind"]) for change in wake.payload["changes"]])

    await spawn("boss", message="go")
    await handle_all()

    assert seen == [[("texts", "insert")]]


async def test_the_configured_agent_is_at_ctx_agent(types: Registry) -> None:
    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        handle = ctx.use_agent("You think.", test_responses=["Yes."])
        assert ctx.agent is handle
        result = await ctx.agent.run()
        await ctx.set_tag("said", result.text)

    url = await spawn("thinker", message="go")
    await handle_all()

    assert [row["value"] for row in await values(url, "tags")] == ["Yes."]
