"""A debate without a model: readable, about its topic, and the same every time."""

import re
from typing import Any

import pytest

from entities.offline.debate import argue, rule
from entities.offline.debate_topic import parse_topic
from entities.types.script import Side

TOPICS = [
    "should cities ban private cars?",
    "Should homework be abolished?",
    "is remote work better than office work?",
    "tabs vs spaces",
    "Universal basic income",
    "Will AI replace teachers?",
    "Should 16 year olds be allowed to vote?",
    "This house would abolish the monarchy",
    "should I learn Rust or Go?",
    "Remote work is better for families",
    "Should pineapple be on pizza?",
    "cats or dogs?",
    "Should zoos exist?",
    "x",
]
SIDES: tuple[Side, Side] = ("pro", "con")


def debate(topic: str, rounds: int = 4, seed: str = "") -> list[dict[str, Any]]:
    """All arguments of a debate, in which each side sees the other's earlier ones."""
    told: list[dict[str, Any]] = []
    for number in range(1, rounds + 1):
        heard = list(told)
        for side in SIDES:
            opponents = [each["text"] for each in heard if each["side"] != side]
            text = argue(topic, side, number, opponents, seed)
            told.append({"key": f"{side}-{number}", "side": side, "round": number, "text": text})
    return told


@pytest.mark.parametrize("topic", TOPICS)
def test_arguments_are_of_readable_length_and_begin_with_their_point(topic: str) -> None:
    for argument in debate(topic):
        assert 55 <= len(argument["text"].split()) <= 125, argument["text"]
        assert argument["text"].startswith(("**", "> \u201c")), argument["text"]
        assert not re.search(r"[{}]|  |\.\.|\s[,.;]|\?\.", argument["text"]), argument["text"]


def test_debate_is_the_same_every_time_and_another_with_another_seed() -> None:
    topic = TOPICS[0]
    assert debate(topic) == debate(topic)
    assert rule(topic, debate(topic)) == rule(topic, debate(topic))
    assert debate(topic) != debate(topic, seed="other")


def test_nobody_says_the_same_twice() -> None:
    for topic in TOPICS:
        texts = [argument["text"] for argument in debate(topic)]
        assert len(set(texts)) == len(texts)


def test_arguments_speak_of_the_topic() -> None:
    said = " ".join(argument["text"] for argument in debate("should cities ban private cars?"))
    assert "banning private cars" in said
    assert re.search(r"traffic|bus|street|journey", said)
    assert "cities should ban private cars" in said
    assert "cities should not ban private cars" in said


def test_rebuttal_quotes_a_sentence_of_the_opponent() -> None:
    opponent = argue(TOPICS[0], "con", 1)
    rebuttal = argue(TOPICS[0], "pro", 2, [opponent])
    quoted = re.match(r"> \u201c(.+?)\u201d\n\n\*\*", rebuttal)
    assert quoted
    assert quoted[1] in opponent


def test_rebuttal_answers_what_somebody_else_wrote() -> None:
    foreign = (
        "Electric buses cost far more than the budget allows. In Graz, the price per line doubled in 2024. "
        "Nobody has said who pays."
    )
    rebuttal = argue(TOPICS[0], "pro", 2, [foreign])
    quoted = re.match(r"> \u201c(.+?)\u201d", rebuttal)
    assert quoted
    assert quoted[1] in foreign
    assert "invoice" in rebuttal


def test_round_without_anything_to_answer_makes_a_point_of_its_own() -> None:
    assert not argue(TOPICS[0], "pro", 2).startswith(">")
    assert argue(TOPICS[0], "pro", 2) != argue(TOPICS[0], "pro", 1)


@pytest.mark.parametrize("topic", TOPICS)
def test_ruling_cites_arguments_of_both_sides_by_key(topic: str) -> None:
    arguments = debate(topic, 2)
    text, winner, cited = rule(topic, arguments)
    assert winner in SIDES
    assert text.startswith(f"**{winner.capitalize()} wins, ")
    assert {key.split("-")[0] for key in cited} == set(SIDES)
    assert set(cited) <= {argument["key"] for argument in arguments}
    assert all(f"[{key}]" in text for key in cited)
    assert 80 <= len(text.split()) <= 200
    assert not re.search(r"[{}]", text)


def test_both_sides_win_now_and_then() -> None:
    winners = [rule(topic, debate(topic, 2, seed), seed)[1] for topic in TOPICS for seed in "abcd"]
    assert 0.25 < winners.count("pro") / len(winners) < 0.75


def test_ruling_copes_with_one_side_and_with_none() -> None:
    only = [argument for argument in debate(TOPICS[0], 2) if argument["side"] == "con"]
    text, winner, cited = rule(TOPICS[0], only)
    assert winner == "con"
    assert all(key.startswith("con") for key in cited)
    text, winner, cited = rule(TOPICS[0], [])
    assert (winner, cited) == ("draw", ())
    assert "Nobody has argued" in text


@pytest.mark.parametrize(
    ("topic", "claim", "move"),
    [
        ("Debate: should cities ban cars?", "cities should ban cars", "banning cars"),
        ("Should homework be abolished?", "homework should be abolished", "abolishing homework"),
        ("should trains be made free", "trains should be made free", "making trains free"),
        (
            "Should children be allowed to vote?",
            "children should be allowed to vote",
            "allowing children to vote",
        ),
        ("Should pineapple be on pizza?", "pineapple should be on pizza", "having pineapple on pizza"),
        ("should we stop eating meat", "we should stop eating meat", "no longer eating meat"),
        ("should schools not use phones", "schools should not use phones", "no longer using phones"),
        ("Ban single-use plastics", "we should ban single-use plastics", "banning single-use plastics"),
        ("Resolved: that cash should be dropped", "cash should be dropped", "dropping cash"),
        ("should my company move to Go?", "your company should move to Go", "moving to Go"),
        ("should there be a maximum wage?", "there should be a maximum wage", "having a maximum wage"),
        ("nuclear energy", "we should say yes to nuclear energy", "nuclear energy"),
    ],
)
def test_proposals_are_taken_apart(topic: str, claim: str, move: str) -> None:
    parsed = parse_topic(topic)
    assert (parsed.kind, parsed.claim, parsed.move) == ("policy", claim, move)


@pytest.mark.parametrize(
    ("topic", "kind", "claim"),
    [
        ("tabs vs spaces", "versus", "tabs over spaces"),
        ("is coffee better than tea?", "versus", "coffee over tea"),
        ("coffee is better than tea", "versus", "coffee over tea"),
        ("Will AI replace teachers?", "claim", "the answer to \u201cWill AI replace teachers?\u201d is yes"),
        ("Social media is harmful", "claim", "social media is harmful"),
    ],
)
def test_choices_and_questions_are_told_apart(topic: str, kind: str, claim: str) -> None:
    parsed = parse_topic(topic)
    assert (parsed.kind, parsed.claim) == (kind, claim)


@pytest.mark.parametrize(
    "topic",
    ["", "?", "{move}", "should", "should ?", "debate:", "a or", "x" * 500, "**\u201c\u201d**"],
)
def test_odd_topics_still_make_a_debate(topic: str) -> None:
    arguments = debate(topic, 3)
    assert all(argument["text"] for argument in arguments)
    assert rule(topic, arguments)[0]
