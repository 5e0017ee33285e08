"""A process whose streams are in another database than its users: it migrates, talks, and is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import django


async def talk() -> dict[str, Any]:
    """Ada, who is new, looks at her list, follows it, and talks to an assistant that a worker runs."""
    from django.contrib.auth.models import User
    from django.test import AsyncClient

    from entities.testing import runtime
    from entities.web.consumers import AgentConsumer
    from shared_state.live import session
    from tests.shared_state.live.feeding import open_page

    ada = await User.objects.acreate_user("ada")
    client = AsyncClient()
    await client.aforce_login(ada)
    first = await client.get("/")
    async with runtime.working() as worker, open_page(ada, AgentConsumer) as page:
        own = {"stream": "presence:user:ada", "codec": "presence", "after": "0" * 16 + "_" + "0" * 16}
        await page.say(op="follow", id=1, **own)
        following = await page.hear()
        made = await client.post("/agents/chat/", {"message": "hello", "key": "two0databases"})
        told = await page.hear_op("patch")
        await runtime.quiet(worker)
        await client.post(made["Location"], {"message": "and again", "key": "two0databases2"})
        await runtime.quiet(worker)
    shown = await client.get(made["Location"])
    await session.stop()
    return {
        "statuses": [first.status_code, made.status_code, shown.status_code],
        "following": following["op"],
        "told": told["stream"],
        "said": await runtime.said_to("/assistant/two0databases"),
        "answers": len(await runtime.texts("/assistant/two0databases")),
        "types": (await client.get("/agents/new/")).content.decode().count('href="/agents/new/'),
    }


def tables(alias: str) -> dict[str, int]:
    """The tables of a database that hold anything, with how many rows."""
    from django.db import connections

    with connections[alias].cursor() as cursor:
        names = connections[alias].introspection.table_names(cursor)
        counts = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            counts[name] = cursor.fetchone()[0]
    return {name: count for name, count in counts.items() if count}


def main() -> None:
    """Print what came of it, as JSON."""
    django.setup()
    from django.core.management import call_command

    call_command("check")
    call_command("migrate", verbosity=0)
    call_command("migrate", database="streams", verbosity=0)
    found = asyncio.run(talk())
    print(json.dumps(found | {alias: tables(alias) for alias in ("default", "streams")}))


if __name__ == "__main__":
    main()
