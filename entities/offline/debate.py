"""A debate without a model: arguments for and against any topic, answers to them, and a ruling.

An argument is put together from a family (cost, fairness, evidence, …), the words of the topic's field and
the topic itself; a rebuttal quotes what it answers. All of it depends on topic, side, round and seed alone.
The prose is in `texts/debate_*.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from entities.offline.choice import digest, pick, shuffled
from entities.offline.debate_domains import words_for
from entities.offline.debate_topic import Topic, parse_topic
from entities.offline.phrases import texts
from entities.types.script import Side, Winner

LONG_MOVE = 9
"""A proposal of more words is named once, and then called "this"."""

SHORT, LONG = 54, 98
"""Words of a rebuttal, without quotation and headline, that call for one sentence more or less."""

QUOTE_WORDS = range(5, 17)
"""How long a quoted sentence may be."""

FAMILIES = {
    "pro": ("cost", "fairness", "evidence", "feasibility", "ripple", "future"),
    "con": ("cost", "fairness", "evidence", "feasibility", "ripple", "gentler"),
}
BY_DIRECTION = {None: (), True: ("liberty", "openness"), False: ("freedom", "safety")}


def argue(
    topic: str, side: Side, round_number: int = 1, opponents: Sequence[str] = (), seed: str = ""
) -> str:
    """One argument of about 60 to 120 words, in Markdown, beginning with its point in bold.

    The first round opens; later ones answer `opponents`, the other side's texts with the newest last, and
    the fourth closes. Without anything to answer, every round makes a point of its own.
    """
    case = _Case(parse_topic(topic), side, seed)
    heard = [text for text in opponents if text.strip()]
    if round_number >= 4:
        return case.closing(round_number)
    if round_number == 1 or not heard:
        return case.opening(round_number)
    return case.rebuttal(round_number, heard)


class _Case:
    """One side's case in one debate."""

    def __init__(self, topic: Topic, side: Side, seed: str) -> None:
        self.topic = topic
        self.side: Side = side
        self.seed = seed
        self.position = topic.claim if side == "pro" else topic.denial
        self.slots = _slots(topic, side)
        self.order = shuffled(self._families(), topic.question, side, seed)

    def family(self, round_number: int) -> str:
        """The family that this side turns to in a round; none comes twice in the first five."""
        return self.order[(round_number - 1) % len(self.order)]

    def opening(self, round_number: int) -> str:
        headline, body = self._point(self.family(round_number))
        return f"**{headline}**\n\n{body}"

    def rebuttal(self, round_number: int, heard: Sequence[str]) -> str:
        target = heard[-1] if round_number % 2 == 0 else heard[0]
        quote = self._quote(target, round_number)
        prose = texts("debate_frames")["rebuttal"]
        headline = self._in_turn(prose["again" if round_number > 2 else "headlines"], round_number)
        answered = family_of(target, self.topic, self._other())
        parts = [self._counter(answered, round_number)]
        if round_number > 2:
            parts.append(self._weighing(round_number))
        else:
            parts += [self._short_point(round_number, answered), self._conclusion(round_number)]
        if len(" ".join(parts).split()) < SHORT:
            more = self._conclusion if round_number > 2 else self._weighing
            parts.append(more(round_number))
        if len(" ".join(parts).split()) > LONG:
            del parts[1]
        quoted = f"> \u201c{quote}\u201d\n\n" if quote else ""
        return f"{quoted}**{headline}** {' '.join(parts)}"

    def closing(self, round_number: int) -> str:
        prose = texts("debate_frames")["closing"]
        start = self._in_turn(prose[self.side], round_number)
        points = [self._point(self.family(number))[0] for number in (1, 2)]
        listed = "\n".join(f"- {point}" for point in points)
        end = f"{self._weighing(round_number)} {self._conclusion(round_number)}"
        return f"**{prose['headline']}** {start}\n\n{listed}\n\n{end}"

    def _families(self) -> tuple[str, ...]:
        if self.topic.kind == "policy":
            return FAMILIES[self.side] + BY_DIRECTION[self.topic.opens]
        return tuple(texts("debate_claims")["versus" if self.topic.kind == "versus" else self.side])

    def _point(self, family: str) -> tuple[str, str]:
        """Headline and body of an argument."""
        if self.topic.kind == "policy":
            cases = texts("debate_policy")[self.side][family]
        elif self.topic.kind == "claim":
            cases = texts("debate_claims")[self.side][family]
        else:
            # Both sides draw from the same families; they must not say the same about them.
            cases = [texts("debate_claims")["versus"][family][self.side == "con"]]
        case = pick(cases, self.topic.question, self.side, self.seed, family)
        return case["headline"], self._fill(case["body"])

    def _counter(self, family: str, round_number: int) -> str:
        prose = texts("debate_counters")[self.topic.kind]
        if self.topic.kind == "versus":
            return self._fill(self._in_turn(prose["any"]["counter"], round_number))
        answers = prose[self.side][family]
        return self._fill(answers.get("again" if round_number > 2 else "counter", answers["counter"]))

    def _short_point(self, round_number: int, answered: str) -> str:
        points = texts("debate_counters")["point"][self.topic.kind][self.side]
        if self.topic.kind == "policy":
            # What was just answered needs no second mention.
            own = [family for family in self.order[round_number - 1 :] + self.order if family != answered]
            return self._fill(points[own[0]])
        return self._fill(self._in_turn(points, round_number))

    def _weighing(self, round_number: int) -> str:
        return self._in_turn(texts("debate_frames")["weighing"][self.topic.kind][self.side], round_number)

    def _conclusion(self, round_number: int) -> str:
        return self._fill(self._in_turn(texts("debate_frames")["conclusion"][self.side], round_number))

    def _in_turn(self, options: Sequence[str], round_number: int) -> str:
        """One of the options, in such a way that neither side nor round repeats the one before."""
        order = shuffled(options, self.topic.question, self.seed)
        return order[(2 * round_number + (self.side == "con")) % len(order)]

    def _other(self) -> Side:
        return "con" if self.side == "pro" else "pro"

    def _quote(self, target: str, round_number: int) -> str:
        """A sentence of the other side that is worth an answer: its point rather than its conclusion."""
        fitting = [
            sentence
            for sentence in _sentences(target)
            if len(sentence.split()) in QUOTE_WORDS
            and self.topic.claim not in sentence
            and self.topic.denial not in sentence
        ]
        ours = [sentence for sentence in fitting if _family_of_point(sentence, self.topic, self._other())]
        if ours or fitting:
            return pick(ours or fitting, self.topic.question, self.seed, round_number)
        words = " ".join(_sentences(target) or target.split()).split()
        return " ".join(words[:14]).rstrip(".,;:") + (" \u2026" if len(words) > 14 else "")

    def _fill(self, template: str) -> str:
        """Put the topic's words in. A long proposal is spelled out only the first time."""
        text = template.format(**self.slots)
        move = self.slots["move"]
        if len(move.split()) > LONG_MOVE:
            first = text.lower().find(move.lower())
            rest = first + len(move)
            text = text[:rest] + text[rest:].replace(_capital(move), "This").replace(move, "this")
        return text


def _slots(topic: Topic, side: Side) -> dict[str, str]:
    words = asdict(words_for(topic.question, topic.opens))
    own, other = (topic.move, topic.thing) if side == "pro" else (topic.thing, topic.move)
    slots = {name: text for name, text in words.items() if isinstance(text, str)}
    slots |= {"move": topic.move, "claim": topic.claim, "own": own, "other": other}
    slots["position"] = topic.claim if side == "pro" else topic.denial
    return slots | {_capital(name): _capital(text) for name, text in slots.items()}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def family_of(text: str, topic: Topic, side: Side) -> str:
    """The family of somebody's argument: by our own words if they are in it, else by hints."""
    if topic.kind == "policy":
        own = texts("debate_policy")[side]
    else:
        own = texts("debate_claims")["versus" if topic.kind == "versus" else side]
    for family, cases in own.items():
        if any(case["headline"] in text for case in cases):
            return str(family)
    if family := _family_of_point(text, topic, side):
        return family
    words = set(re.findall(r"[a-z]+", text.lower()))
    hints = texts("debate_frames")["hints"]
    return str(max(own, key=lambda family: len(words & set(hints.get(family, "").split()))))


def _family_of_point(text: str, topic: Topic, side: Side) -> str:
    """The family whose short point (of a proposal's rebuttal) is in the text, or nothing."""
    if topic.kind != "policy":
        return ""
    slots = _slots(topic, side)
    plain = text.rstrip(".")
    for family, template in texts("debate_counters")["point"]["policy"][side].items():
        point = template.format(**slots).rstrip(".")
        if point in plain or (len(plain) > 20 and plain in point):
            return str(family)
    return ""


def _sentences(text: str) -> list[str]:
    """The sentences of an argument, without its headline and without what it quotes itself."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(">"))
    headline, body = _split_headline(plain)
    body = re.sub(r"[*_`#]|^\s*[-\d.]+\s", "", body, flags=re.MULTILINE)
    found = [sentence.strip(" \n.;:") for sentence in re.split(r"(?<=[.!?])\s+", body)]
    return [sentence for sentence in found if sentence] or [headline]


def _split_headline(text: str) -> tuple[str, str]:
    """The bold beginning of an argument, and the rest."""
    match = re.match(r"\s*\*\*(.+?)\*\*\s*(.*)", text, re.DOTALL)
    return (match[1].strip(), match[2]) if match else ("", text)


def rule(
    topic: str, arguments: Iterable[Mapping[str, Any]], seed: str = ""
) -> tuple[str, Winner, tuple[str, ...]]:
    """Weigh the arguments and rule: the text in Markdown, the winner, and the keys that the text cites.

    Each argument needs `key`, `side` and `text`; `round` counts if it is there. Nobody wins if nobody spoke.
    """
    parsed = parse_topic(topic)
    heard = [dict(each) for each in arguments if str(each.get("text", "")).strip()]
    ranked = sorted(heard, key=lambda each: (-_weight(each, parsed, seed), str(each["key"])))
    sides = {side: [each for each in ranked if each["side"] == side] for side in ("pro", "con")}
    if not heard:
        return texts("debate_frames")["ruling"]["nobody"].format(question=parsed.question), "draw", ()
    averages = {
        side: sum(_weight(each, parsed, seed) for each in found) / len(found)
        for side, found in sides.items()
        if found
    }
    winner: Side = "pro" if averages.get("pro", 0.0) >= averages.get("con", 0.0) else "con"
    margin = abs(averages.get("pro", 0.0) - averages.get("con", 0.0))
    return _Ruling(parsed, winner, sides, margin, seed).write()


def _weight(argument: Mapping[str, Any], topic: Topic, seed: str) -> float:
    """What an argument weighs: for answering, for being concrete, for substance, and a little for taste."""
    text = str(argument["text"])
    words = set(re.findall(r"[a-z]{5,}", text.lower()))
    answers = 2.0 if _answers(text) else 0.0
    concrete = (
        1.0 if re.search(r"\d|measure|trial|before and after|for example|figure", text.lower()) else 0.0
    )
    field = words_for(topic.question, topic.opens)
    named = sum(
        phrase in text.lower() for phrase in (field.burdened, field.exposed, field.trial, field.measure)
    )
    taste = int(digest(topic.question, argument["key"], text, seed)[:6], 16) / 0xFFFFFF
    later = 0.2 * (int(argument.get("round") or 1) - 1)
    return answers + 0.5 * concrete + 0.2 * named + min(len(words) / 60, 0.8) + 2.5 * taste + later


class _Ruling:
    """The words of a ruling."""

    def __init__(
        self, topic: Topic, winner: Side, sides: Mapping[str, list[dict[str, Any]]], margin: float, seed: str
    ) -> None:
        self.topic = topic
        self.winner: Side = winner
        self.loser: Side = "con" if winner == "pro" else "pro"
        self.sides = sides
        self.margin = margin
        self.seed = seed
        self.prose = texts("debate_frames")["ruling"]

    def write(self) -> tuple[str, Winner, tuple[str, ...]]:
        best, other = _two_kinds(self.sides[self.winner]), self.sides[self.loser][:1]
        degree = self.prose["degrees"][min(int(self.margin / 0.5), 2)]
        lines = [f"**{self.winner.capitalize()} wins, {degree}.** {self._opening()}", ""]
        lines += [f"What decided it:\n\n{self._reasons(best, self.winner, 'won')}", ""]
        if other:
            lines += [f"What the other side got right:\n\n{self._reasons(other, self.loser, 'lost')}", ""]
        lines.append(self._pick("ends").format(**_slots(self.topic, self.winner)))
        return "\n".join(lines), self.winner, tuple(str(each["key"]) for each in [*best, *other])

    def _opening(self) -> str:
        count = {side: len(found) for side, found in self.sides.items()}
        heard = f"{count['pro']} for, {count['con']} against"
        return str(self._pick("openings")).format(question=self.topic.question, heard=heard)

    def _reasons(self, arguments: Iterable[Mapping[str, Any]], side: Side, outcome: str) -> str:
        used: set[str] = set()
        return "\n".join(self._reason(each, side, outcome, used) for each in arguments)

    def _reason(self, argument: Mapping[str, Any], side: Side, outcome: str, used: set[str]) -> str:
        text = str(argument["text"])
        headline, _ = _split_headline(text)
        answers = _answers(text)
        point = headline if headline and not answers else _sentences(text)[0]
        kind = "answers" if answers else family_of(text, self.topic, side)
        options = self.prose[outcome].get(kind, self.prose[outcome]["other"])
        order = shuffled(options, self.topic.question, argument["key"], self.seed)
        why = next((option for option in order if option not in used), order[0])
        used.add(why)
        return f"- [{argument['key']}] \u201c{_shortened(point)}\u201d {why}"

    def _pick(self, key: str) -> Any:
        return pick(self.prose[key], self.topic.question, self.winner, self.seed)


def _two_kinds(ranked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The two arguments that count most; one that opens and one that answers, if there are both."""
    first = list(ranked[:1])
    others = [each for each in ranked[1:] if _answers(str(each["text"])) != _answers(str(first[0]["text"]))]
    return [*first, *(others or ranked[1:])[:1]]


def _answers(text: str) -> bool:
    """Whether an argument takes up what the other side wrote."""
    return re.search(r"^\s*>", text, re.MULTILINE) is not None


def _shortened(text: str, limit: int = 16) -> str:
    words = text.rstrip(".").split()
    return " ".join(words[:limit]) + (" \u2026" if len(words) > limit else "")
