"""The levers of the admin: what each does, what it says, and who may pull it."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from entities.api import NewEntity, retry_parked, spawn_now
from entities.models import Entity, Wake
from entities.wakes import lease
from shared_state import api
from shared_state.models import EventRecord, Grant, Stream
from tests.site.world import ADA, World, build

ENTITIES = reverse("admin:entities_entity_changelist")
WAKES = reverse("admin:entities_wake_changelist")


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def boss(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def act(client: Client, path: str, action: str, *objects: Any, **more: str) -> str:
    """Do it as the form of a list does, and return the page that follows."""
    data = {"index": "0", "action": action, "_selected_action": [each.pk for each in objects], **more}
    return client.post(path, data, follow=True).content.decode()


def run_it() -> Entity:
    """Let a worker claim the host."""
    (claimed,) = api.unit(lease.claiming("worker-1", 1), provenance=ADA)
    return claimed.entity


def events(agent: Entity, type: str) -> list[dict[str, Any]]:
    found = EventRecord.objects.filter(stream=agent.stream_id, type=type).order_by("offset")
    return [event.value or {} for event in found]


def test_wake_now_asks_for_a_wake_of_each(world: World, boss: Client) -> None:
    page = act(boss, ENTITIES, "wake_now", world.host, world.child)

    assert "/debate/host" in page
    assert "wake requested" in page
    made = Wake.objects.filter(reason="manual")
    assert {each.entity_id for each in made} == {world.host.pk, world.child.pk}
    assert {(each.source, each.state) for each in made} == {("user:staff", "pending")}


def test_release_lease_says_for_each_whether_there_was_one(world: World, boss: Client) -> None:
    held = run_it()
    epoch = held.stream.epoch
    other = world.child if held.pk == world.host.pk else world.host

    page = act(boss, ENTITIES, "release_lease", held, other)

    assert f"{held.url}: lease released" in page
    assert f"{other.url}: nobody held a lease" in page
    held.refresh_from_db()
    assert (held.lease_owner, held.lease_expires_at) == ("", None)
    assert Stream.objects.get(pk=held.stream_id).epoch > epoch


def test_stop_interrupts_a_run_and_the_log_says_who_did(world: World, boss: Client) -> None:
    held = run_it()

    page = act(boss, ENTITIES, "stop", held)

    assert "run interrupted" in page
    assert events(held, "signal")[-1]["sender"] == "user:staff"
    stopping = EventRecord.objects.filter(stream=held.stream_id, type="signal").latest("offset")
    assert Wake.objects.get(entity=held, state=Wake.State.CLAIMED).interrupted_by == stopping.key


def test_retry_makes_a_parked_wake_due_and_leaves_others_alone(world: World, boss: Client) -> None:
    other = Wake.objects.exclude(pk=world.wake.pk).filter(entity=world.host).first()
    assert other is not None

    page = act(boss, WAKES, "retry_parked", world.wake, other)

    assert "due again" in page
    assert "not parked, nothing to retry" in page
    world.wake.refresh_from_db()
    assert (world.wake.state, world.wake.attempts, world.wake.error) == ("pending", 0, "")


def test_retrying_twice_retries_once(world: World, boss: Client) -> None:
    act(boss, WAKES, "retry_parked", world.wake)
    Wake.objects.filter(pk=world.wake.pk).update(state="claimed", attempts=1)

    assert "not parked" in act(boss, WAKES, "retry_parked", world.wake)
    world.wake.refresh_from_db()
    assert (world.wake.state, world.wake.attempts) == ("claimed", 1)


def test_a_stale_object_is_not_retried_either(world: World) -> None:
    stale = Wake.objects.select_related("entity").get(pk=world.wake.pk)
    Wake.objects.filter(pk=stale.pk).update(state="claimed")

    assert retry_parked(api.Principal("user", "staff", staff=True), stale) is False
    assert Wake.objects.get(pk=stale.pk).state == "claimed"


def test_the_lease_of_a_wake_is_its_agents(world: World, boss: Client) -> None:
    held = run_it()
    claimed = Wake.objects.get(entity=held, state="claimed")

    assert "lease released" in act(boss, WAKES, "release_lease", claimed)
    assert Wake.objects.get(pk=claimed.pk).state == "pending"


def test_a_button_on_the_page_does_the_same_and_comes_back(world: World, boss: Client) -> None:
    page = reverse("admin:entities_entity_change", args=[world.host.pk])
    assert ">Wake now</button>" in boss.get(page).content.decode()

    data = {"index": "0", "action": "wake_now", "_selected_action": world.host.pk, "from_page": "1"}
    response = boss.post(ENTITIES, data)

    assert response["Location"] == page
    assert "wake requested" in boss.get(page).content.decode()


def test_the_history_tells_who_did_what(world: World, boss: Client) -> None:
    act(boss, ENTITIES, "wake_now", world.host)

    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_repr) == ("staff", "/debate/host")
    assert "wake requested" in entry.get_change_message()


def test_many_are_named_in_one_short_message(world: World, boss: Client) -> None:
    ada = api.Principal("user", "ada")
    agents = [spawn_now(ada, NewEntity("debate", f"n{n}")) for n in range(8)]

    page = act(boss, ENTITIES, "wake_now", *agents)

    assert "and 3 more: wake requested" in page
    assert Wake.objects.filter(reason="manual").count() == 8


def test_looking_is_not_operating(world: World, client: Client) -> None:
    clerk = User.objects.create_user("clerk", password="clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_entity", "view_wake")))
    client.force_login(clerk)
    before = Wake.objects.count()

    page = act(client, ENTITIES, "wake_now", world.host)
    act(client, WAKES, "retry_parked", world.wake)

    assert "/debate/host" in page
    assert "Wake now" not in page
    assert Wake.objects.count() == before
    assert Wake.objects.filter(state="parked").exists()


def test_staff_without_permissions_see_nothing(world: World, client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", password="clerk", is_staff=True))

    assert client.get(ENTITIES).status_code == 403


# -- grants


def grants(world: World, *lines: dict[str, str], initial: int = 0) -> dict[str, str]:
    """The form of a stream's page."""
    data = {"grants-TOTAL_FORMS": str(len(lines)), "grants-INITIAL_FORMS": str(initial)}
    for n, line in enumerate(lines):
        data |= {f"grants-{n}-{name}": value for name, value in line.items()}
        data[f"grants-{n}-stream"] = str(world.host.stream_id)
    return data


def test_a_grant_is_given_and_taken_on_the_streams_page(world: World, boss: Client, ben: User) -> None:
    page = reverse("admin:shared_state_stream_change", args=[world.host.stream_id])

    boss.post(page, grants(world, {"principal": "user:ben", "role": "view"}))
    given = Grant.objects.get()
    assert (given.stream_id, str(given)) == (world.host.stream_id, "user:ben: view")

    line = {"id": str(given.pk), "principal": "user:ben", "role": "view", "DELETE": "on"}
    boss.post(page, grants(world, line, initial=1))
    assert not Grant.objects.exists()


@pytest.mark.parametrize("principal", ["ben", "user:bne", "nobody:ben", "user:"])
def test_a_grant_to_nobody_is_refused(principal: str, world: World, boss: Client, ben: User) -> None:
    page = reverse("admin:shared_state_stream_change", args=[world.host.stream_id])

    response = boss.post(page, grants(world, {"principal": principal, "role": "view"}))

    assert "Please correct the error" in response.content.decode()
    assert not Grant.objects.exists()


def test_a_streams_own_fields_are_not_taken_from_the_form(world: World, boss: Client) -> None:
    page = reverse("admin:shared_state_stream_change", args=[world.host.stream_id])

    boss.post(page, grants(world) | {"owner": "user:cleo", "path": "/debate/other", "head": "1"})

    stream = Stream.objects.get(pk=world.host.stream_id)
    assert (stream.owner, stream.path) == ("user:ada", "/debate/host")
    assert stream.head > 1
