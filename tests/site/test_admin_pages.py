"""Every list and page of the admin: the same few queries for one object as for fifty; read-only."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from entities.models import Entity, EntityType, Subscription, Timer, Wake
from shared_state.html import admin_parts
from shared_state.models import EventRecord, Grant, RowRecord, Stream
from tests.site.world import NOW, World, build

MODELS: list[type[Model]] = [
    Entity, EntityType, Wake, Subscription, Timer, Stream, EventRecord, RowRecord, Grant,
]  # fmt: skip
MOST_QUERIES = 14


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def boss(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(found: Any) -> str:
    meta = found._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk])


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    assert response.status_code == 200
    return len(captured)


def add_fifty(world: World) -> None:
    """Fifty more of everything, related to the world's own."""
    many = range(50)
    Grant.objects.bulk_create(
        Grant(stream=world.host.stream, principal=f"user:friend-{n}", role="view") for n in many
    )
    EntityType.objects.bulk_create(EntityType(name=f"kind_{n}", boards=[{"kind": "board"}]) for n in many)
    for n in many:
        stream = Stream.objects.create(
            path=f"/debate/n{n}", kind="entity", owner="user:ada", root=world.host.stream
        )
        agent = Entity.objects.create(
            type="debate", slug=f"n{n}", url=f"/debate/n{n}", stream=stream, presence=world.host.presence,
            parent=world.host, owner="user:ada", created_by="user:ada", created_at=NOW, last_activity_at=NOW,
        )  # fmt: skip
        found = Subscription.objects.create(
            observer=agent, source=stream, source_url=agent.url, kind="change", created_at=NOW
        )
        for each in (agent, world.host):
            Wake.objects.create(
                entity=each, reason="change", source="x", subscription=found, due_at=NOW, created_at=NOW
            )
        Timer.objects.create(
            entity=agent, sender="user:ada", payload={}, key=f"k{n}", due_at=NOW, created_at=NOW
        )
        common = {"stream": stream, "type": "note", "key": f"k{n}", "value": {"n": n}, "writer": "user:ada"}
        EventRecord.objects.create(**common, offset=1, operation="insert", timestamp=NOW)
        RowRecord.objects.create(**common, created=1, version=1, created_at=NOW, updated_at=NOW)


def test_every_model_of_ours_is_in_the_admin() -> None:
    ours = {model for model in admin.site._registry if model._meta.app_label in ("entities", "shared_state")}

    assert ours == set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_list_takes_the_same_queries_for_one_and_for_fifty(
    model: type[Model], world: World, boss: Client, django_assert_num_queries: Callable[..., Any]
) -> None:
    queries(boss, list_of(model))
    few = queries(boss, list_of(model))
    add_fifty(world)

    with django_assert_num_queries(few):
        shown = boss.get(list_of(model))

    assert few <= MOST_QUERIES
    assert shown.content.count(b'class="action-select"') in (0, 50)
    assert shown.content.count(b"<tr>") >= 50


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_page_takes_the_same_queries_among_one_and_among_fifty(
    model: type[Model], world: World, boss: Client, django_assert_num_queries: Callable[..., Any]
) -> None:
    Grant.objects.create(stream=world.host.stream, principal="user:ben", role="view")
    found = model._default_manager.order_by("pk").first()
    if model in (Stream, Entity):
        found = world.host if model is Entity else world.host.stream
    path = page_of(found)
    queries(boss, path)
    few = queries(boss, path)
    add_fifty(world)

    with django_assert_num_queries(few):
        boss.get(path)

    assert few <= MOST_QUERIES


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_nothing_but_grants_can_be_added_changed_or_deleted(
    model: type[Model], world: World, boss: Client
) -> None:
    Grant.objects.create(stream=world.host.stream, principal="user:ben", role="view")
    found: Any = model._default_manager.order_by("pk").first()
    before = list(model._default_manager.order_by("pk").values())
    statuses = [
        boss.get(path).status_code
        for path in (list_of(model) + "add/", page_of(found).replace("/change/", "/delete/"))
    ]
    boss.post(page_of(found), dict.fromkeys(("title", "url", "path", "key", "value", "error"), "changed"))
    boss.post(
        list_of(model),
        {"index": "0", "action": "delete_selected", "_selected_action": found.pk, "post": "yes"},
    )

    assert statuses == ([200, 200] if model is Grant else [403, 403])
    if model is not Grant:
        assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_list_can_be_searched(model: type[Model], world: World, boss: Client) -> None:
    for words in ("ada", "/debate/host run", "shared: pro", "no-such-thing"):
        assert boss.get(list_of(model), {"q": words}).status_code == 200


def test_json_is_indented_escaped_and_cut(world: World, boss: Client) -> None:
    event = EventRecord.objects.filter(type="text").first()
    assert event is not None
    EventRecord.objects.filter(pk=event.pk).update(value={"a": "<b>&", "long": "x" * 90_000})

    page = boss.get(page_of(event)).content.decode()

    assert '<pre class="json">{\n  &quot;a&quot;: &quot;&lt;b&gt;&amp;&quot;' in page
    assert "more characters" in page
    assert len(page) < 60_000


def test_a_list_counts_only_so_far(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_parts.BoundedPaginator, "bound", 3)

    assert b"3 or more events" in words_of(boss.get(list_of(EventRecord)).content)


def test_no_list_counts_a_whole_table(world: World, boss: Client) -> None:
    for model in MODELS:
        with CaptureQueriesContext(connection) as captured:
            boss.get(list_of(model))
        counts = [
            each["sql"] for each in captured if "COUNT(" in each["sql"] and "GROUP BY" not in each["sql"]
        ]
        assert [sql for sql in counts if "LIMIT" not in sql] == []


def words_of(page: bytes) -> bytes:
    """A page with one blank wherever there is white space, as a browser shows it."""
    return b" ".join(page.split())


def shows(response: Any, *paths: str) -> bool:
    page = response.content.decode()
    return all(f'href="{path}' in page.replace("&amp;", "&") for path in paths)


def test_an_agent_its_stream_its_wakes_and_its_page_are_linked(world: World, boss: Client) -> None:
    agent, stream = page_of(world.host), page_of(world.host.stream)
    wakes = f"{list_of(Wake)}?entity={world.host.pk}"

    assert shows(boss.get(agent), stream, wakes, "/debate/host/", page_of(world.wake))
    assert shows(
        boss.get(stream), agent, "/debate/host/", f"{list_of(EventRecord)}?stream={world.host.stream_id}"
    )
    assert shows(boss.get(page_of(world.wake)), agent, "/debate/host/")
    assert shows(boss.get(page_of(world.child)), agent)
    assert shows(boss.get(list_of(Entity)), "/debate/host/", "/worker/child/", f"{wakes}&state__exact=parked")


def test_links_filter_lists(world: World, boss: Client) -> None:
    host, child = world.host, world.child
    for address, shown, hidden in (
        (f"{list_of(EventRecord)}?stream={host.stream_id}&type=inbox", b">inbox<", b">tool_call</td>"),
        (f"{list_of(RowRecord)}?stream={child.stream_id}", b">/worker/child<", b">/debate/host<"),
        (f"{list_of(Entity)}?parent={host.pk}", b">/worker/child<", b'">/debate/host<'),
        (f"{list_of(Entity)}?status=running", b"0 entities", b"/debate/host"),
        (f"{list_of(Wake)}?entity={child.pk}", b"0 wakes", b"Child finished</a>"),
    ):
        page = words_of(boss.get(address).content)
        listed = page[page.index(b'id="changelist-form"') : page.index(b'id="changelist-filter"')]
        assert shown in listed, address
        assert hidden not in listed, address
