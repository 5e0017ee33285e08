"""A whole debate through the real runtime: the offline model, and the same words over the API's wire."""

from typing import Any

import pytest

from entities.agent.providers import close_providers
from entities.testing import runtime
from tests.support.anthropic_brain import offline_brain
from tests.support.anthropic_server import KEY, AnthropicServer

pytestmark = pytest.mark.django_db(transaction=True)


async def hold_debate() -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Hold one. Returns the moderator's status, the arguments, and the moderator's steps."""
    async with runtime.working() as worker:
        url = await runtime.spawn("debate", message="Debate: should cities ban private cars?")
        await runtime.quiet(worker, 60)
        [status] = await runtime.values(url, "state:status")
        arguments = await runtime.values(f"shared:debate-{url}", "shared:argument")
        steps = await runtime.values(url, "step")
    await close_providers()
    return status, arguments, steps


def check(status: dict[str, Any], arguments: list[dict[str, Any]]) -> None:
    """Both sides have argued and answered, and the ruling rests on what they wrote."""
    assert status["value"] == "done"
    assert [each["key"] for each in sorted(arguments, key=lambda each: (each["round"], each["side"]))] == [
        "con-1", "pro-1", "con-2", "pro-2",
    ]  # fmt: skip
    texts = {each["key"]: each["text"] for each in arguments}
    assert texts["pro-2"].startswith("> \u201c")
    assert texts["pro-2"].split("\u201c")[1].split("\u201d")[0] in texts["con-1"]
    assert set(status["cites"]) <= set(texts)
    assert all(f"[{key}]" in status["ruling"] for key in status["cites"])


async def test_offline_model_holds_a_debate_to_its_ruling() -> None:
    status, arguments, steps = await hold_debate()
    check(status, arguments)
    assert {step["model_provider"] for step in steps} == {"offline"}
    assert all(step["input_tokens"] > 0 and step["cost_usd"] == 0 for step in steps)


async def test_debate_is_held_over_the_wire_of_the_real_api() -> None:
    with AnthropicServer(offline_brain()) as api:
        providers = runtime.anthropic(KEY, api.url)
        with runtime.configured(PROVIDERS=providers, MODEL="claude-sonnet-5-5"):
            status, arguments, steps = await hold_debate()
    assert [each.refused for each in api.requests if each.refused] == []
    check(status, arguments)
    assert {step["model_id"] for step in steps} == {"claude-sonnet-5-5"}
    assert all(step["cost_usd"] > 0 for step in steps)
