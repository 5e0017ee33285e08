"""The test's Messages API runs by itself, and answers like the offline model through the real SDK."""

import subprocess
import sys

from entities.agent.messages import Message
from entities.agent.providers.anthropic import AnthropicProvider
from tests.entities.agent.asking import SEARCH, answered, request, response_of, user
from tests.support.anthropic_server import KEY

NOW = SEARCH.__class__("now", "Tell the time.", {"type": "object", "properties": {}})


async def test_conversation_with_a_tool_runs_against_the_process() -> None:
    command = [sys.executable, "-m", "tests.support.anthropic_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            await _converse(AnthropicProvider(KEY, process.stdout.readline().strip()))
        finally:
            process.terminate()


async def _converse(provider: AnthropicProvider) -> None:
    asked = user("What time is it?")
    step = await response_of(provider, request(asked, tools=(NOW,)))
    assert [call.name for call in step.tool_calls] == ["now"]
    answer = answered(step.tool_calls[0].id, "Saturday, 21 November 2026, 14:03 UTC")
    goes_on = (asked, Message("assistant", step.blocks), answer)
    response = await response_of(provider, request(*goes_on, tools=(NOW,)))
    assert "**14:03** UTC" in response.text
    assert response.provider == "anthropic"
    await provider.aclose()
