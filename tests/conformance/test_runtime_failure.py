"""Handlers that fail: again with growing pauses, then parked, visible, and retried by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from entities import api
from entities.agent.model import ModelRefused, ModelUnavailable
from entities.api import RunFinished, registry, tool
from entities.models import Wake
from entities.testing.runtime import (
    ADA,
    claim,
    configured,
    entity,
    events,
    expire,
    handle_all,
    look,
    quiet,
    recover,
    rows,
    spawn,
    tell,
    texts,
    values,
    wakes,
    working,
)
from entities.types.registry import Registry
from entities.worker import runtime
from entities.worker.runtime import Execution


class Fragile:
    """A type whose handler fails as often as it was told to, after saying something."""

    def __init__(self, types: Registry, failures: int = 100) -> None:
        self.failures = failures
        self.calls = 0

        @types.define("fragile")
        async def fragile(ctx: Any, wake: Any) -> None:
            self.calls += 1
            if self.failures > 0:
                self.failures -= 1
                raise ValueError("the handler is broken")
            await ctx.reply_text("at last")


async def test_a_failing_handler_is_tried_again_until_it_succeeds(types: Registry) -> None:
    fragile = Fragile(types, failures=2)
    url = await spawn("fragile", message="go")
    async with working() as worker:
        await quiet(worker)

    assert fragile.calls == 3
    assert await texts(url) == ["at last"]
    (wake,) = await wakes(url)
    assert (wake.state, wake.error) == (Wake.State.DONE, "")


async def test_the_pause_before_the_next_attempt_grows_fourfold(types: Registry) -> None:
    Fragile(types)
    url = await spawn("fragile", message="go")
    pauses = []
    with configured(RETRY_SECONDS=100):
        for _ in range(3):
            await handle_all()
            (wake,) = await wakes(url)
            pauses.append(round((wake.due_at - timezone.now()).total_seconds(), -1))
            past = timezone.now() - timedelta(seconds=5)  # by the database's clock, too
            await look(Wake.objects.filter(pk=wake.pk).update, due_at=past)

    assert pauses == [100, 400, 1600]


async def test_a_handler_that_keeps_failing_is_parked(types: Registry) -> None:
    fragile = Fragile(types)
    url = await spawn("fragile", message="go")
    async with working() as worker:
        await quiet(worker)

    assert fragile.calls == 4
    (wake,) = await wakes(url)
    assert (wake.state, wake.error) == (Wake.State.PARKED, "ValueError: the handler is broken")
    assert (await entity(url)).status == "error"
    (error,) = await values(url, "error")
    assert (error["error_code"], error["message"]) == ("wake_parked", "ValueError: the handler is broken")


async def test_a_parked_wake_is_retried_by_hand_with_all_its_attempts(types: Registry) -> None:
    fragile = Fragile(types, failures=5)
    url = await spawn("fragile", message="go")
    async with working() as worker:
        await quiet(worker)
        (parked,) = await wakes(url)
        assert await look(api.retry_parked, ADA, parked) is True
        await quiet(worker)

    assert fragile.calls == 6
    assert await texts(url) == ["at last"]
    assert (await entity(url)).status == "idle"
    assert [row["status"] for row in await values(url, "inbox")] == ["processed"]


async def test_only_a_parked_wake_can_be_retried(types: Registry) -> None:
    Fragile(types, failures=0)
    url = await spawn("fragile", message="go")
    await handle_all()
    (done,) = await wakes(url)

    assert await look(api.retry_parked, ADA, done) is False


async def test_a_parked_entity_still_takes_messages_and_recovers(types: Registry) -> None:
    Fragile(types, failures=4)
    url = await spawn("fragile", message="go")
    async with working() as worker:
        await quiet(worker)
        await tell(url, "are you well?")
        await quiet(worker)

    assert await texts(url) == ["at last"]
    assert (await entity(url)).status == "idle"


async def test_a_wake_that_waits_for_its_next_attempt_is_not_overtaken(types: Registry) -> None:
    order: list[str] = []

    @types.define("picky")
    async def picky(ctx: Any, wake: Any) -> None:
        order.append(wake.payload)
        if order == ["first"]:
            raise ValueError("not yet")

    url = await spawn("picky", message="first")
    with configured(RETRY_SECONDS=2.0):
        await handle_all()
        await tell(url, "second")
        assert await claim() == []
        async with working() as worker:
            await quiet(worker)

    assert order == ["first", "first", "second"]


@pytest.fixture
def mother(types: Registry) -> list[dict[str, Any]]:
    """A parent of one child of the type that it is told; returns the reports it got."""
    reports: list[dict[str, Any]] = []

    @types.define("mother")
    async def mother(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn(wake.payload, "child", initial_message="go", wake=RunFinished())
        else:
            reports.append(wake.payload["finished_child"])

    return reports


async def test_a_parent_hears_of_a_child_that_failed_before_its_run(
    types: Registry, mother: list[dict[str, Any]]
) -> None:
    Fragile(types)
    await spawn("mother", message="fragile")
    async with working() as worker:
        await quiet(worker)

    (report,) = mother
    assert (report["url"], report["run_status"], report["error"]) == (
        "/fragile/child",
        "failed",
        "handler_failed",
    )


async def test_a_run_that_was_open_when_its_wake_was_parked_is_failed_and_reported(
    types: Registry, mother: list[dict[str, Any]]
) -> None:
    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        await ctx.use_agent("You think.", test_responses=[ModelUnavailable("529: overloaded")]).run()

    await spawn("mother", message="thinker")
    async with working() as worker:
        await quiet(worker)

    (run,) = await values("/thinker/child", "run")
    assert (run["status"], run["finish_reason"]) == ("failed", "handler_failed")
    assert [report["run_status"] for report in mother] == ["failed"]
    codes = [error["error_code"] for error in await values("/thinker/child", "error")]
    assert codes == ["model_unavailable"] * 4 + ["wake_parked"]


async def test_a_retried_run_goes_on_where_it_was_given_up(types: Registry) -> None:
    """Steps that were completed before the failure are not repeated, nor are their tools."""
    rang: list[str] = []
    broken = [True]

    @tool
    async def ring() -> str:
        """Ring the bell."""
        rang.append("ding")
        return "It rang."

    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        last = ModelUnavailable("529: overloaded") if broken[0] else "Done."
        agent = ctx.use_agent("You ring.", tools=[ring], test_responses=[[("ring", {})], last])
        await agent.run()

    url = await spawn("thinker", message="go")
    async with working() as worker:
        await quiet(worker)
        broken[0] = False
        await look(api.retry_parked, ADA, (await wakes(url))[0])
        await quiet(worker)

    assert rang == ["ding"]
    assert await texts(url) == ["Done."]
    assert [run["status"] for run in await values(url, "run")] == ["completed"]
    states = [event.value["status"] for event in await events(url, "run")]
    assert states == ["started", "failed", "started", "completed"]


async def test_a_refused_request_is_not_tried_again(types: Registry) -> None:
    calls: list[int] = []

    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        calls.append(1)
        await ctx.use_agent("You think.", test_responses=[ModelRefused("401: the key is wrong")]).run()

    url = await spawn("thinker", message="go")
    async with working() as worker:
        await quiet(worker)

    assert calls == [1]
    (run,) = await values(url, "run")
    assert (run["status"], run["finish_reason"]) == ("failed", "model_refused")
    (error,) = await values(url, "error")
    assert (error["error_code"], error["message"]) == ("model_refused", "401: the key is wrong")
    assert (await wakes(url))[0].state == Wake.State.DONE
    assert (await entity(url)).status == "idle"


async def test_a_run_that_failed_fails_again_when_its_wake_is_repeated(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the end of a run and the end of its wake must not turn failure into success."""
    outcomes: list[str] = []

    class Killed(BaseException):
        pass

    @types.define("thinker")
    async def thinker(ctx: Any, wake: Any) -> None:
        try:
            await ctx.use_agent("You think.", test_responses=[ModelRefused("401")]).run()
            outcomes.append("completed")
        except api.RunFailed:
            outcomes.append("failed")

    async def die(execution: Execution) -> None:
        raise Killed

    url = await spawn("thinker", message="go")
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "_settle", die)
        with pytest.raises(Killed):
            await handle_all()
    await expire(url)
    await recover()
    await handle_all()

    assert outcomes == ["failed", "failed"]
    assert len(await rows(url, "run")) == 1


async def test_a_wake_that_takes_its_workers_down_is_parked_in_the_end(types: Registry) -> None:
    Fragile(types, failures=0)
    url = await spawn("fragile", message="go")
    with configured(MAX_DEATHS=3):
        for _ in range(3):
            assert len(await claim("dies")) == 1
            await expire(url)
            await recover()
        await handle_all("survivor")

    (wake,) = await wakes(url)
    assert (wake.state, wake.error) == (
        Wake.State.PARKED,
        "WorkerDied: Its worker died 3 times while running it.",
    )
    assert (await entity(url)).status == "error"
    assert [run["status"] for run in await values(url, "run")] == ["failed"]


async def test_an_entity_of_a_type_that_is_gone_is_parked_and_says_why(types: Registry) -> None:
    Fragile(types)
    url = await spawn("fragile", message="go")
    del registry._types["fragile"]
    async with working() as worker:
        await quiet(worker)

    (wake,) = await wakes(url)
    assert wake.state == Wake.State.PARKED
    assert "There is no type 'fragile'" in wake.error


async def test_one_failing_entity_does_not_hold_up_the_others(types: Registry) -> None:
    Fragile(types)

    @types.define("note")
    async def note(ctx: Any, wake: Any) -> None:
        await ctx.reply_text(wake.payload)

    await spawn("fragile", message="go")
    url = await spawn("note", message="hello")
    async with working() as worker:
        await quiet(worker)

    assert await texts(url) == ["hello"]


# -- what is too large


async def report_at_length(types: Registry) -> tuple[str, list[str], str]:
    """A child says 400 KB, and somebody else is asked something. Returns parent, what it heard, the other."""
    heard: list[str] = []

    @types.define("kid")
    async def kid(ctx: Any, wake: Any) -> None:
        async with ctx.record_run() as run:
            for _ in range(4):
                run.attach_response("x" * 100_000)

    @types.define("boss")
    async def boss(ctx: Any, wake: Any) -> None:
        if wake.type == "inbox":
            await ctx.spawn("kid", "k", initial_message="go", wake=RunFinished())
        else:
            heard.append(wake.payload["finished_child"]["response"])

    @types.define("other")
    async def other(ctx: Any, wake: Any) -> None:
        await ctx.reply_text("I am here.")

    parent = await spawn("boss", message="go")
    async with working() as worker:
        await quiet(worker)
        url = await spawn("other", message="are you?")
        await quiet(worker)
    return parent, heard, url


async def test_a_report_larger_than_an_event_is_cut(types: Registry) -> None:
    _, (heard,), other = await report_at_length(types)

    assert heard.endswith("[Cut here: 64,000 of 400,006 characters.]")
    assert await texts(other) == ["I am here."]


async def test_a_wake_that_cannot_be_begun_is_parked_and_keeps_nobody_from_work(
    types: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entities.wakes.reports.MAX_RESPONSE", 10**9)
    parent, heard, other = await report_at_length(types)

    assert heard == []
    assert [wake.state for wake in await wakes(parent, reason="run_finished")] == [Wake.State.PARKED]
    assert "cannot be begun" in (await values(parent, "error"))[0]["message"]
    assert (await entity(parent)).status == "error"
    assert await texts(other) == ["I am here."]


async def test_a_handler_that_fails_at_length_is_parked_all_the_same(types: Registry) -> None:
    @types.define("verbose")
    async def verbose(ctx: Any, wake: Any) -> None:
        raise ValueError("x" * 400_000)

    url = await spawn("verbose", message="go")
    with configured(MAX_ATTEMPTS=1):
        await handle_all()

    assert [wake.state for wake in await wakes(url)] == [Wake.State.PARKED]
    assert [error["error_code"] for error in await values(url, "error")] == ["wake_parked"]
