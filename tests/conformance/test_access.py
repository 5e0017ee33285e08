"""One door: owner, staff, system, and whom a grant names; nobody else."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared_state import api
from shared_state.core.access import VERBS
from shared_state.core.types import Principal, StreamInfo
from shared_state.exceptions import AccessDenied
from shared_state.models import Grant, Stream
from tests.conformance.writing import make_stream

ALL = sorted({verb for verbs in VERBS.values() for verb in verbs})
ADA, BEN, CLEO = (Principal("user", name) for name in ("ada", "ben", "cleo"))
STAFF = Principal("user", "staff", staff=True)
SCHEDULER = Principal("system", "scheduler")


def grant(stream: StreamInfo, role: str, principal: Principal = BEN) -> None:
    Grant.objects.create(stream_id=stream.id, principal=str(principal), role=role)


def allowed(principal: Principal, stream: StreamInfo) -> set[str]:
    """What `may` says, which must be the same for both forms of a stream."""
    record = Stream.objects.get(pk=stream.id)
    verbs = {verb for verb in ALL if api.may(principal, verb, stream)}
    assert verbs == {verb for verb in ALL if api.may(principal, verb, record)}
    assert [verbs] * 2 == api.verbs([(principal, stream), (principal, record)])
    return verbs


def seen(principal: Principal) -> set[int]:
    return set(api.visible(principal, Stream.objects.all()).values_list("pk", flat=True))


@pytest.mark.parametrize("principal", [ADA, STAFF, SCHEDULER], ids=str)
def test_owner_staff_and_system_may_do_everything(principal: Principal) -> None:
    stream = make_stream()

    assert allowed(principal, stream) == set(ALL)
    assert seen(principal) == {stream.id}


@pytest.mark.parametrize(
    "principal",
    [CLEO, Principal("agent", "ada"), Principal("service", "ada"), Principal("user", "ADA"),
     Principal("agent", "/debate/1", staff=True)],
    ids=str,
)  # fmt: skip
def test_nobody_else_may_do_anything(principal: Principal) -> None:
    stream = make_stream()
    grant(stream, "manage", BEN)

    assert allowed(principal, stream) == set()
    assert seen(principal) == set()
    with pytest.raises(AccessDenied, match=f"{principal} may not read {stream.path}"):
        api.require(principal, "read", stream)


@pytest.mark.parametrize("role", ["view", "chat", "manage"])
@pytest.mark.parametrize("place", ["stream", "root"])
def test_a_grant_gives_what_its_role_says(role: str, place: str) -> None:
    root = make_stream("/debate/1")
    child = make_stream("/worker/1", root=root.id)
    other = make_stream("/debate/2")
    grant(child if place == "stream" else root, role)

    assert allowed(BEN, child) == VERBS[role]
    assert allowed(BEN, root) == (VERBS[role] if place == "root" else set())
    assert allowed(BEN, other) == allowed(CLEO, child) == set()
    assert seen(BEN) == ({child.id} if place == "stream" else {root.id, child.id})
    assert seen(CLEO) == set()


def test_roles_include_each_other() -> None:
    assert VERBS["view"] < VERBS["chat"] < VERBS["manage"] == frozenset(ALL)


def test_two_grants_add_up() -> None:
    root = make_stream()
    child = make_stream(root=root.id)
    grant(root, "chat")
    grant(child, "view")

    assert allowed(BEN, child) == VERBS["chat"]


def test_a_grant_that_was_taken_back_is_gone_at_once() -> None:
    stream = make_stream()
    grant(stream, "chat")
    api.require(BEN, "write", stream)

    Grant.objects.all().delete()

    assert allowed(BEN, stream) == set()


def test_a_role_that_we_do_not_know_gives_nothing() -> None:
    stream = make_stream()
    grant(stream, "owner")

    assert allowed(BEN, stream) == set()
    assert seen(BEN) == set()


def test_an_agent_can_be_granted_something() -> None:
    stream = make_stream()
    agent = Principal("agent", "/debate/1")
    grant(stream, "chat", agent)

    assert allowed(agent, stream) == VERBS["chat"]


@pytest.mark.parametrize("user", [None, AnonymousUser(), object()])
def test_no_identity_has_no_rights(user: Any) -> None:
    with pytest.raises(AccessDenied, match="Sign in first"):
        api.principal_of(user)


def test_a_user_is_a_principal_by_name(ada: User, staff: User) -> None:
    assert api.principal_of(ada) == ADA
    assert api.principal_of(staff) == STAFF
    ada.is_active = False
    with pytest.raises(AccessDenied):
        api.principal_of(ada)


PEOPLE = [ADA, BEN, CLEO, STAFF, SCHEDULER, Principal("agent", "/debate/1")]


@given(
    streams=st.lists(
        st.tuples(st.sampled_from(PEOPLE[:3]), st.one_of(st.none(), st.integers(0, 5))), max_size=6
    ),
    grants=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(PEOPLE), st.sampled_from([*VERBS, "other"])), max_size=8
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_visible_is_what_may_be_read(transactional_db: None, streams: Any, grants: Any) -> None:
    Stream.objects.update(root=None)
    Stream.objects.all().delete()
    made: list[Stream] = []
    for number, (owner, root) in enumerate(streams):
        above = made[root] if root is not None and root < len(made) else None
        made.append(
            Stream.objects.create(path=f"/room/{number}", kind="entity", owner=str(owner), root=above)
        )
    for place, principal, role in grants:
        if place < len(made):
            Grant.objects.update_or_create(
                stream=made[place], principal=str(principal), defaults={"role": role}
            )

    for principal in PEOPLE:
        assert seen(principal) == {stream.pk for stream in made if api.may(principal, "read", stream)}


def test_many_are_answered_each_for_itself_in_one_query(django_assert_num_queries: Any) -> None:
    top = make_stream()
    below, other = make_stream(root=top.id), make_stream()
    grant(top, "view")
    grant(other, "chat", CLEO)
    asked = [(who, stream) for who in (ADA, BEN, CLEO, STAFF) for stream in (top, below, other)]

    with django_assert_num_queries(1):
        found = api.verbs(asked)

    assert found == [allowed(*each) for each in asked]
    with django_assert_num_queries(0):
        assert api.verbs([(ADA, top), (STAFF, other), (SCHEDULER, top)]) == [set(ALL)] * 3
        assert api.verbs([]) == []
