"""The pages of one agent: timeline, state, events, board; who may open them, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from entities.catalog import log
from entities.models import Entity
from entities.types.registry import registry
from shared_state.models import Grant
from tests.entities import making
from tests.entities.web.browsing import Element, parse

TABS = ("", "family/", "earlier/", "tool/", "state/", "events/", "events/1/", "board/0/")


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of Ada's."""
    registry.store()
    client.force_login(ada)
    return client


@pytest.fixture
def bot(ada: User) -> Entity:
    """An agent that nobody has talked to."""
    return making.agent(ada, "bot", title="The bot")


def shown(answer: Any) -> Element:
    return parse(answer.content.decode().replace("<!doctype html>", ""))


@pytest.mark.parametrize("tab", TABS)
def test_a_stranger_gets_what_is_not_there(client: Client, cleo: User, bot: Entity, tab: str) -> None:
    client.force_login(cleo)

    answers = [client.get(f"/assistant/{slug}/{tab}") for slug in ("bot", "nobody")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert shown(answers[0]).text == shown(answers[1]).text


def test_who_may_only_read_cannot_write(client: Client, ben: User, bot: Entity) -> None:
    Grant.objects.create(stream=bot.stream, principal="user:ben", role="view")
    client.force_login(ben)

    opened = client.get("/assistant/bot/")
    sent = client.post("/assistant/bot/", {"message": "Hi"})

    assert "You may read this agent, but not write to it" in shown(opened).text
    assert not shown(opened).having("data-composer")
    assert sent.status_code == 400
    assert not bot.stream.rows.filter(type="inbox").exists()


def test_a_message_can_be_sent_without_a_script(page: Client, bot: Entity) -> None:
    for _ in range(2):
        answer = page.post("/assistant/bot/", {"message": "Hello", "key": "k-1"})
        assert answer.status_code == 302

    assert [row.value["payload"] for row in bot.stream.rows.filter(type="inbox")] == ["Hello"]
    assert shown(page.get("/assistant/bot/")).find(f"msg-{bot.stream_id}-k-1") is not None


def test_a_run_shows_what_it_said_and_what_it_cost(page: Client, bot: Entity) -> None:
    making.write(bot, making.run("1.0", "**Bold** words"))

    run = shown(page.get("/assistant/bot/")).find(f"run-{bot.stream_id}-1.0")

    assert run is not None
    assert "Bold words" in run.text
    assert "done in 4.0 s" in run.text
    (step,) = run.having("data-step")
    assert "1.2k in 40 out $0.0031" in step.text
    assert "claude-test" in step.text


def test_a_text_that_is_not_finished_is_shown_as_far_as_it_is(page: Client, bot: Entity) -> None:
    started = {"run_id": "1.0", "status": "streaming"}
    pieces = [
        log.new("text_delta", f"t-d{n}", {"text_id": "t", "run_id": "1.0", "delta": word, "start": n * 4})
        for n, word in enumerate(("One ", "two ", "thr"))
    ]
    making.write(bot, [*making.run("1.0")[:1], log.new("text", "t", started), *pieces])

    raw = shown(page.get("/assistant/bot/")).find(f"textraw-{bot.stream_id}-t")

    assert raw is not None
    assert raw.children == ["One two thr"]


def test_opening_costs_the_same_however_long_the_log(
    page: Client, bot: Entity, django_assert_max_num_queries: Any
) -> None:
    for rounds in (1, 120):
        for number in range(rounds):
            making.write(bot, making.run(f"{rounds}-{number}.0"))
        # Session, user, agent, rows, the run that the window begins in, who is of the family, they, its
        # presence, type, shared.
        with django_assert_max_num_queries(10):
            page.get("/assistant/bot/")


def test_only_the_newest_window_is_on_the_page(page: Client, bot: Entity) -> None:
    for number in range(60):
        making.write(bot, making.run(f"{number}.0", f"text {number}"))

    opened = shown(page.get("/assistant/bot/"))
    (button,) = opened.having("data-earlier")

    assert opened.find(f"run-{bot.stream_id}-59.0") is not None
    assert opened.find(f"run-{bot.stream_id}-5.0") is None
    found = page.get(f"/assistant/bot/earlier/?before={button.attributes['data-before']}").json()
    assert all(kind == "put" for kind, *_ in found["changes"])
    assert found["before"] < int(button.attributes["data-before"])


def test_earlier_rows_reach_to_the_one_that_a_link_points_to(page: Client, bot: Entity) -> None:
    for number in range(80):
        making.write(bot, [*making.run(f"{number}.0"), making.call(f"{number}.0-c", f"{number}.0")])
    (button,) = shown(page.get("/assistant/bot/")).having("data-earlier")

    query = {"before": button.attributes["data-before"], "until": "tool-2.0-c"}
    found = page.get("/assistant/bot/earlier/", query).json()

    assert f"tool-{bot.stream_id}-2.0-c" in [target for _, target, *_ in found["changes"]]


def test_a_long_result_is_fetched_when_the_card_is_opened(page: Client, bot: Entity) -> None:
    making.write(bot, [*making.run("1.0"), making.call("1.0-c", "1.0", result="x" * 5000, duration_ms=12)])

    tool = shown(page.get("/assistant/bot/")).find(f"tool-{bot.stream_id}-1.0-c")
    assert tool is not None
    (body,) = tool.having("hx-get")

    assert "x" * 5000 not in tool.text
    assert b"x" * 5000 in page.get(body.attributes["hx-get"]).content
    assert "bees" in tool.text
    assert "12 ms" in tool.text


def test_the_raw_log_is_newest_first_and_can_be_filtered(page: Client, bot: Entity) -> None:
    making.write(bot, making.run("1.0"))

    def types(query: str) -> list[str]:
        return [
            each.attributes["data-type"]
            for each in shown(page.get(f"/assistant/bot/events/{query}")).having("class", "event")
        ]

    assert types("") == ["run", "text", "step", "run", "tags", "entity_created"]
    assert types("?type=step") == ["step"]


def test_the_raw_log_has_pages(page: Client, bot: Entity, monkeypatch: Any) -> None:
    monkeypatch.setattr("entities.web.views.EVENTS_PAGE", 4)
    making.write(bot, making.run("1.0"))

    (more,) = shown(page.get("/assistant/bot/events/")).having("hx-get", None)[-1:]
    headers = {"HX-Request": "true", "HX-Target": more.attributes["hx-target"].removeprefix("#")}
    rest = parse(page.get(more.attributes["hx-get"], headers=headers).content.decode())

    assert [each.attributes["id"] for each in rest.having("class", "event")] == [
        f"event-{bot.stream_id}-{offset}" for offset in (2, 1)
    ]


def test_an_event_can_be_read_in_full(page: Client, bot: Entity) -> None:
    answer = page.get("/assistant/bot/events/1/")

    assert "entity_created" in answer.content.decode()
    assert page.get("/assistant/bot/events/99/").status_code == 404


def test_a_board_of_a_debate_that_has_not_begun_says_so(page: Client, ada: User) -> None:
    making.agent(ada, "d", type="debate")

    board = shown(page.get("/debate/d/board/0/"))

    assert "Nothing has been written yet" in board.text
    assert [head.text for head in board.having("class", "board-head")] == ["pro", "con"]
    assert page.get("/debate/d/board/1/").status_code == 404
    assert page.get("/assistant/d/board/0/").status_code == 404


def test_a_board_costs_the_same_with_many_participants(
    page: Client, ada: User, django_assert_max_num_queries: Any
) -> None:
    host = making.agent(ada, "d", type="debate")
    for number in range(8):
        child = making.agent(ada, f"w{number}", type="worker", parent=host)
        value = {"kind": "child", "url": child.url, "entity_type": "worker"}
        making.write(host, [log.new("manifest", f"child:{child.url}", value)])
        making.write(child, [*making.run("1.0"), making.call("1.0-c", "1.0")])

    # Session, user, agent; family, presence, type, shared states; type, board, status, cast, order, calls.
    with django_assert_max_num_queries(15):
        board = shown(page.get("/debate/d/board/0/"))

    assert len(board.having("class", "participant")) == 9


def test_what_a_participant_is_writing_is_on_the_board(page: Client, ada: User) -> None:
    host = making.agent(ada, "d", type="debate")
    child = making.agent(ada, "w", type="worker", parent=host)
    call = {"run_id": "1.0", "step": "1.0-s1", "tool_call_id": "x", "tool_name": "write_arguments"}
    piece = {"tool_call_id": "1.0-c", "run_id": "1.0", "delta": '{"side": "pro", "text": "Bec', "start": 0}
    making.write(
        child,
        [
            *making.run("1.0", status="started")[:1],
            log.new("tool_call", "1.0-c", {**call, "status": "started"}),
            log.new("tool_call_delta", "1.0-c-d0", piece),
        ],
    )

    (draft,) = shown(page.get("/debate/d/board/0/")).having("data-draft", "arguments")

    assert draft.having("data-raw")[0].children == [piece["delta"]]


def test_whoever_may_not_follow_the_directory_asks_now_and_then(
    client: Client, ben: User, ada: User, bot: Entity
) -> None:
    Grant.objects.create(stream=bot.stream, principal="user:ben", role="view")
    client.force_login(ben)
    assert shown(client.get("/assistant/bot/")).having("data-poll-agents")

    client.force_login(ada)
    assert not shown(client.get("/assistant/bot/")).having("data-poll-agents")


def test_the_family_stands_beside_the_page(page: Client, ada: User, bot: Entity) -> None:
    child = making.agent(ada, "helper", type="worker", title="Helper", parent=bot)

    opened = shown(page.get(f"{child.url}/"))

    assert [line.attributes["data-title"] for line in opened.having("data-line")] == ["The bot", "Helper"]
    (parent,) = opened.having("data-parent")
    assert parent.attributes["href"] == "/assistant/bot/"


def test_the_offline_model_is_named_on_every_page(page: Client, bot: Entity) -> None:
    for address in ("/", "/shared/", "/assistant/bot/", "/agents/new/"):
        assert "offline model" in shown(page.get(address)).text
