"""Reads the topic of a debate: who should do what, in words that fit into a sentence.

A few dozen rules of English grammar, good enough for what people type; whatever they do not cover is quoted
as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["policy", "claim", "versus"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, taken apart.

    `policy` is a proposal: `move` names it ("banning private cars"), `claim` and `denial` say it as a
    sentence. `claim` is a question of fact or taste: only `claim` and `denial` are of use. `versus` is a
    choice: `move` is the first of the two, `thing` the second. `opens` tells proposals that allow or build
    something (True) from those that forbid or reduce (False); None is neither.
    """

    question: str
    kind: Kind
    claim: str
    denial: str
    move: str = ""
    thing: str = ""
    opens: bool | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LEAD = re.compile(
    r"^\s*(?:debate|topic|motion|question|resolved|discuss|proposition)\s*[:\-\u2013\u2014]\s*"
    r"|^\s*(?:let'?s |please )?(?:debate|discuss|argue about)\s+(?:whether\s+|if\s+|about\s+)?"
    r"|^\s*(?:whether|if|that)\s+",
    re.IGNORECASE,
)
HOUSE = re.compile(r"^this house (?:would|should|believes that|believes|supports)\s+(.*)$", re.IGNORECASE)
VERSUS = re.compile(r"^(?:is |are |which is better[:,]? )?(.+?)\s+(?:vs\.?|versus|or)\s+(.+)$", re.IGNORECASE)
BETTER = re.compile(
    r"^(?:(?:is|are)\s+(.+?)|(.+?)\s+(?:is|are))\s+(?:really\s+)?better than\s+(.+)$", re.IGNORECASE
)
SHOULD = re.compile(
    r"^(?P<modal>should|must|ought|shall)\s+(?P<rest>.+)$"
    r"|^(?P<subject>.+?)\s+(?:should|must|ought to)\s+(?P<action>.+)$",
    re.IGNORECASE,
)
ASKS = re.compile(
    r"^(?:is|are|was|were|does|do|did|can|could|will|would|has|have|may|might|isn't|aren't)\b", re.IGNORECASE
)
STATES = re.compile(r"\b(?:is|are|was|were|will|can|cannot|has|have|makes?|needs?|does|do|matters?)\b")
PREPOSITION = re.compile(
    r"\s+(?:in|for|from|to|by|with|on|at|when|before|after|instead|during|because|over|until)\s"
)

OPENING = _words(
    """
    add adopt allow build create decriminalise decriminalize develop enable encourage expand explore
    fund give grant guarantee have increase introduce invest keep legalise legalize let lower offer open
    pay permit promote protect provide raise recognise recognize send start subsidise subsidize support
    teach work
    """
)
CLOSING = _words(
    """
    abolish ban block boycott break cancel cap censor close criminalise criminalize curb cut defund
    delay discourage divest drop eliminate end forbid freeze leave limit outlaw phase prevent prohibit
    punish reduce regulate reject remove replace restrict scrap shut stop tax
    """
)
OTHER_VERBS = _words(
    """
    accept become buy change colonise colonize consider do eat exist force get go impose join learn make
    merge move nationalise nationalize play privatise privatize put read reform require return run sell
    settle share split switch treat try use vote wear write
    """
)
VERBS = OPENING | CLOSING | OTHER_VERBS

PARTICIPLES = {
    "banned": "banning", "built": "building", "given": "giving", "held": "holding", "kept": "keeping",
    "made": "making", "paid": "paying", "put": "putting", "run": "running", "sent": "sending",
    "set": "setting", "shut": "shutting", "sold": "selling", "taken": "taking", "taught": "teaching",
    "cut": "cutting", "spent": "spending", "seen": "seeing", "left": "leaving", "broken": "breaking",
    "forced": "forcing", "forbidden": "forbidding", "chosen": "choosing", "let": "letting",
}  # fmt: skip
DOUBLING = _words("permit commit admit submit forget begin refer prefer control compel transfer equip")
NOUNS_IN_ED = _words("need speed seed feed breed bed red")

# Where the subject of "should …" ends is guessed by the first word that can start an action.
ADVERBS = _words("always never also still only completely fully simply really ever not all")


def parse_topic(text: str) -> Topic:
    """The topic as a `Topic`. Never fails: an odd text becomes a claim that is quoted as it stands."""
    tidy = _tidy(text)
    question = _capital(tidy) + ("" if tidy.endswith(("?", "!", ".")) else "?" if _asks(tidy) else ".")
    bare = tidy.rstrip("?.! ")
    if house := HOUSE.match(bare):
        bare = house[1] if STATES.search(house[1]) or " should " in house[1] else f"should we {house[1]}"
    if match := SHOULD.match(bare):
        parsed = (
            _policy_question(match["rest"]) if match["rest"] else _policy(match["subject"], match["action"])
        )
        return _with_question(parsed, question)
    if len(bare.split()) <= 14:
        if match := BETTER.match(bare):
            return _versus(question, match[1] or match[2], match[3])
        if match := VERSUS.match(bare):
            return _versus(question, match[1], match[2])
    first = bare.split(" ", 1)[0].lower()
    if ASKS.match(bare):
        quoted = f"\u201c{_capital(bare)}?\u201d"
        return Topic(question, "claim", f"the answer to {quoted} is yes", f"the answer to {quoted} is no")
    if first in VERBS and " " in bare:
        return _with_question(_policy("we", _lower(bare)), question)
    if STATES.search(bare) and len(bare.split()) > 2:
        claim = _lower(bare)
        return Topic(question, "claim", claim, _denied(claim))
    thing = _lower(bare) or "this"
    return Topic(
        question, "policy", f"we should say yes to {thing}", f"we should say no to {thing}", thing, thing
    )


def _asks(text: str) -> bool:
    return bool(ASKS.match(text)) or text.lower().startswith(
        ("should ", "must ", "who ", "what ", "why ", "how ")
    )


def _tidy(text: str) -> str:
    line = " ".join(text.strip().strip("\"'\u201c\u201d").split())[:300]
    for _ in range(2):
        line = LEAD.sub("", line, count=1).strip().strip("\"'\u201c\u201d") or line
    return line


def _denied(claim: str) -> str:
    negated = re.sub(r"\b(is|are|was|were|will|can)\b(?! not)", r"\1 not", claim, count=1)
    return negated.replace("can not", "cannot") if negated != claim else f"it is not so that {claim}"


def _with_question(topic: Topic, question: str) -> Topic:
    return Topic(question, topic.kind, topic.claim, topic.denial, topic.move, topic.thing, topic.opens)


def _versus(question: str, first: str, second: str) -> Topic:
    own, other = (_lower(side.strip(" ,"), COMMON_STARTS) for side in (first, second))
    return Topic(question, "versus", f"{own} over {other}", f"{other} over {own}", own, other)


def _policy_question(rest: str) -> Topic:
    """`rest` follows "should": the subject ends where an action can begin."""
    words = rest.split()
    if "or" in words[2:-1] and len(words) <= 12:
        before = words.index("or", 2)
        starts = [i + 1 for i, word in enumerate(words[:before]) if word.lower() in VERBS]
        return _versus("", " ".join(words[(starts or [0])[-1] : before]), " ".join(words[before + 1 :]))
    if words[0].lower() == "there" and words[1:2] == ["be"]:
        return _policy("there", " ".join(words[1:]))
    for position in range(1, len(words)):
        word = words[position].lower()
        if word in ("be", "have") or word in VERBS or (word in ADVERBS and position + 1 < len(words)):
            return _policy(" ".join(words[:position]), " ".join(words[position:]))
    cut = 2 if words[0].lower() in ("the", "a", "an", "my", "our", "all", "every") and len(words) > 2 else 1
    return _policy(" ".join(words[:cut]), " ".join(words[cut:]) or "do it")


def _policy(subject: str, action: str) -> Topic:
    subject, action = _second_person(_lower(subject)), _second_person(action)
    negative = re.match(r"(?:not|never|no longer)\s+", action, re.IGNORECASE)
    if negative:
        action = action[negative.end() :]
    claim, denial = f"{subject} should {action}", f"{subject} should not {action}"
    verb, _, rest = action.partition(" ")
    move = _gerund_phrase(subject, verb.lower(), rest)
    thing = subject if verb == "be" and subject != "there" else _object(rest) or move
    opens = _direction(verb.lower(), rest)
    if negative:
        claim, denial, move = denial, claim, f"no longer {move}"
        opens = None if opens is None else not opens
    return Topic("", "policy", claim, denial, move, thing, opens)


def _object(rest: str) -> str:
    """What the action is done to: the words up to the next preposition."""
    return PREPOSITION.split(f" {rest} ", maxsplit=1)[0].strip()


def _direction(verb: str, rest: str) -> bool | None:
    words = rest.lower().split() or [""]
    word = verb
    if verb == "be":
        word = words[1] if words[0] == "made" and len(words) > 1 else words[0]
    stems = {word, word.removesuffix("ed"), word.removesuffix("d"), word.removesuffix("ned")}
    if word in ("free", "legal", "allowed", "paid", "taught", "open") or stems & OPENING:
        return True
    return False if word in ("illegal", "banned", "cut", "shut") or stems & CLOSING else None


def _gerund_phrase(subject: str, verb: str, rest: str) -> str:
    """The action as a noun: "banning private cars", "making public transport free"."""
    if subject == "there" and verb == "be":
        return f"having {rest}"
    if verb == "be":
        return _passive(subject, rest)
    if verb == "exist" and not rest:
        return f"the existence of {subject}"
    if verb in ADVERBS and rest:
        verb, _, rest = rest.partition(" ")
        return f"always {gerund(verb)} {rest}".strip()
    if verb == "stop" and rest.split(" ", 1)[0].endswith("ing"):
        return f"no longer {rest}"
    return f"{gerund(verb)} {rest}".strip()


def _passive(subject: str, rest: str) -> str:
    """Make "abolishing homework" of "homework be abolished", "making school free" of "school be free"."""
    word, _, tail = rest.partition(" ")
    lower = word.lower()
    if lower in PARTICIPLES:
        active = PARTICIPLES[lower]
    elif lower.endswith("ed") and lower not in NOUNS_IN_ED:
        active = "required" if lower == "required" else _from_participle(lower)
    elif lower in ("in", "on", "at", "part", "under", "like"):
        return f"having {subject} {rest}"
    else:
        return f"making {subject} {rest}"
    if lower == "required":
        return f"requiring {subject} {tail}".strip()
    return f"{active} {subject} {tail}".strip()


def _from_participle(word: str) -> str:
    stem = word.removesuffix("ed")
    if stem.endswith("i"):
        return f"{stem[:-1]}ying"
    return f"{stem}ing"


def gerund(verb: str) -> str:
    """The "-ing" form of an English verb."""
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return f"{verb[:-1]}ing"
    if verb in DOUBLING or re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return f"{verb}{verb[-1]}ing"
    return f"{verb}ing"


def _second_person(text: str) -> str:
    """What the person says of themself is said to them: "should I move" is about "you"."""
    for own, other in (("I", "you"), ("my", "your"), ("me", "you"), ("i", "you")):
        text = re.sub(rf"\b{own}\b", other, text)
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str, common_starts: frozenset[str] | None = None) -> str:
    """Without the capital of a sentence's start; names and abbreviations keep theirs."""
    first = text.split(" ", 1)[0]
    plain = first[1:].islower() or len(first) == 1
    starts = COMMON_STARTS | VERBS if common_starts is None else common_starts
    common = first.lower() in starts or first.endswith("ing")
    return text[:1].lower() + text[1:] if plain and common else text


COMMON_STARTS = _words(
    """
    a an the we you they he she it this that these those there all every most many some no our your my
    their cities schools countries governments companies people children parents students teachers
    employers workers public private social remote homework universal free nuclear electric artificial
    video smart mobile phones cars cats dogs pineapple zoos animals pets books tabs spaces tea coffee
    summer winter money open closed online human space time travel adults teenagers states banks
    hospitals doctors universities museums sports athletes restaurants religion art music science
    technology robots machines plastic meat sugar alcohol news internet
    """
)
