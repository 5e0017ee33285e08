"""What a step cost, in US dollars, by the price list that genai-prices carries."""

from __future__ import annotations

import asyncio

from entities.agent.messages import Usage


async def cost_usd(model: str, usage: Usage, *, provider: str) -> float | None:
    """The price of one step, or None for a model that is not on the list.

    The list takes half a second to load, once per process: off the event loop.
    """
    return await asyncio.to_thread(_cost, model, usage, provider)


def _cost(model: str, usage: Usage, provider: str) -> float | None:
    import genai_prices

    # Their input tokens are all of them, ours only those that no cache had to do with.
    total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    counted = genai_prices.Usage(
        input_tokens=total,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        return float(genai_prices.calc_price(counted, model, provider_id=provider).total_price)
    except LookupError:
        return None
