"""A session is looked up once in a few seconds; what ends it here ends it at once, elsewhere soon."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from agents_site.api import identity, remembered
from agents_site.api.remembered import MOST, SECONDS, Remembered
from shared_state.api import Principal, in_thread
from tests.site.caller import Caller
from tests.site.world import World, build

READ = "/api/streams/debate/host"
ADA = Principal("user", "ada")


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(remembered.sessions, "_clock", made)
    return made


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every look-up of a session."""
    found: list[Any] = []
    look_up = identity._look_up

    def counted(*args: Any) -> Any:
        found.append(args)
        return look_up(*args)

    monkeypatch.setattr(identity, "_look_up", counted)
    return found


@pytest.fixture
def world(transactional_db: None) -> World:
    return build()


@pytest.fixture
def caller(world: World, ada: User) -> Caller:
    return Caller.of(ada)


async def statuses(caller: Caller, count: int = 1, path: str = READ) -> list[int]:
    return [(await caller.get(path)).status for _ in range(count)]


async def test_a_session_is_looked_up_once_in_a_few_seconds(
    caller: Caller, clock: Clock, looked_up: list[Any]
) -> None:
    assert await statuses(caller, 5) == [200] * 5
    assert len(looked_up) == 1

    clock.now += SECONDS
    assert await statuses(caller, 2) == [200] * 2
    assert len(looked_up) == 2


@pytest.mark.parametrize("end", ["session", "user", "gone"])
async def test_what_ends_elsewhere_ends_here_a_few_seconds_later(
    end: str, caller: Caller, clock: Clock, ada: User
) -> None:
    assert await statuses(caller) == [200]
    # An update says nothing to this process, as if it was done in another.
    if end == "session":
        await Session.objects.aupdate(expire_date="2020-01-01T00:00:00Z")
    elif end == "user":
        await User.objects.filter(pk=ada.pk).aupdate(is_active=False)
    else:
        await in_thread(Session.objects.all()._raw_delete, using="default")

    clock.now += SECONDS - 0.1
    assert await statuses(caller) == [200]
    clock.now += 0.1
    assert await statuses(caller, 2) == [401, 401]


@pytest.mark.parametrize("way", ["sign out", "session", "switched off", "password", "deleted"])
async def test_what_ends_in_this_process_ends_at_once(way: str, caller: Caller, ada: User) -> None:
    assert await statuses(caller) == [200]

    await in_thread(_end, way, caller, ada)

    assert await statuses(caller) == [401]


def _end(way: str, caller: Caller, ada: User) -> None:
    if way == "sign out":
        client = Client(headers={"cookie": "; ".join(f"{n}={v}" for n, v in caller.cookies.items())})
        assert client.post("/accounts/logout/").status_code == 302
    elif way == "session":
        Session.objects.get().delete()
    elif way == "switched off":
        ada.is_active = False
        ada.save()
    elif way == "password":
        ada.set_password("another")
        ada.save()
    else:
        ada.delete()


async def test_staff_who_are_no_longer_lose_their_rights(world: World, staff: User) -> None:
    caller = await in_thread(Caller.of, staff)
    assert await statuses(caller) == [200]

    staff.is_staff = False
    await staff.asave()

    assert await statuses(caller) == [404]


async def test_nobody_is_not_remembered(caller: Caller, ada: User, looked_up: list[Any]) -> None:
    await User.objects.filter(pk=ada.pk).aupdate(is_active=False)
    assert await statuses(caller, 2) == [401, 401]

    await User.objects.filter(pk=ada.pk).aupdate(is_active=True)

    assert await statuses(caller) == [200]
    assert len(looked_up) == 3


async def test_where_the_session_holds_the_token_it_is_always_read(
    caller: Caller, settings: Settings, looked_up: list[Any]
) -> None:
    settings.CSRF_USE_SESSIONS = True

    assert await statuses(caller, 2) == [200, 200]
    assert len(looked_up) == 2


async def test_a_local_sign_in_is_not_remembered_for_others(
    world: World, ada: User, settings: Settings, looked_up: list[Any]
) -> None:
    settings.LOCAL_MODE = True
    here = Caller(client="127.0.0.1")
    for _ in range(2):
        assert (await here.send("GET", READ, host="localhost:8000")).status == 200

    assert len(looked_up) == 1
    assert (await here.send("GET", READ)).status == 401
    here.client = "203.0.113.9"
    assert (await here.send("GET", READ, host="localhost:8000")).status == 401


# -- the memory itself


def test_what_was_looked_up_before_something_was_forgotten_is_not_kept() -> None:
    memory = Remembered()
    forgotten = memory.forgotten

    memory.forget("another")
    memory.put("a", ADA, 1, forgotten)

    assert memory.get("a") is None


def test_it_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 3)
    memory = Remembered()
    for name in ("a", "b", "c", "a", "d"):
        memory.put(name, ADA, 1, 0)

    assert [name for name in "abcd" if memory.get(name)] == ["a", "c", "d"]
    assert MOST >= 1_000


def test_it_holds_no_credential() -> None:
    memory = Remembered()
    memory.put("secret-session", ADA, 1, 0)

    assert "secret-session" not in repr(vars(memory))
    assert memory.get("secret-session") == ADA
