"""The general script of the offline model: a chat that is honest, useful where it can be, and not dull.

It calls the agent's tools where they fit, knows this runtime by heart, does sums, boils texts down, and
answers everything else with a way to think about it, in words that it has not used yet. What it says is in
`texts/`; here is only what it says when.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from entities.offline import intents as patterns
from entities.offline.debate_topic import gerund
from entities.offline.phrases import texts
from entities.offline.reading import (
    best_entry,
    calculate,
    frequent_words,
    keywords,
    main_sentences,
    number_text,
    subject_of,
)
from entities.offline.tools import both_sides, told, wanted_tool
from entities.offline.turn import Turn
from entities.types.script import Plan

LONG_TEXT = 70
"""From so many words on, a message is a text to be read rather than a question."""

EXAMPLES = (
    ("start_debate", "`Debate: should cities ban private cars?`"),
    ("remember", "*Remember that my cat is called Miso* \u2013 and later: *what is my cat called?*"),
    ("spawn_worker", "*Ask a worker to list what makes a good question*"),
    ("now", "*What time is it?*"),
)

Intent = Callable[[Turn, str], str | None]


def chat(turn: Turn) -> Plan:
    """Answer the person, or say what came of the tools that were called for them."""
    said = patterns.SENDER.sub("", turn.last).strip()
    if turn.answers:
        return Plan(_with_note(turn, told(turn, said)))
    if news := _news(turn, said):
        return Plan(news, "This is news, not a question: I pass it on.")
    wish = wanted_tool(turn, said)
    if isinstance(wish, Plan):
        return wish
    answer = wish or next((found for intent in INTENTS if (found := intent(turn, said))), "")
    if not answer:
        # A task from another agent wants a report; a person wants a conversation.
        answer = _say(turn, "default" if said == turn.last.strip() else "task", said)
    return Plan(_with_note(turn, answer), _thought(turn, said))


def _thought(turn: Turn, said: str) -> str:
    tools = ", ".join(turn.tools) or "none"
    return f"They write about {subject_of(said)}. My tools ({tools}) do not help here, so I answer in words."


def _with_note(turn: Turn, text: str) -> str:
    """The first answer to a person says what is speaking, and how to have a real model instead."""
    if not turn.first or patterns.SENDER.match(turn.last):
        return text
    return f"{text}\n\n{texts('chat')['note']['verbatim'].strip()}"


def _say(turn: Turn, key: str, said: str, **more: str) -> str:
    """A ready-made answer of some kind about what the person said, if possible one that is new here."""
    subject = more.get("subject") or subject_of(said)
    words = {
        "subject": subject,
        "Subject": _capital(subject),
        "quote": " ".join(said.split()[:14]) + (" …" if len(said.split()) > 14 else ""),
        "count": "one message" if len(turn.said) == 1 else f"{len(turn.said)} messages",
        "number": str(len(turn.said)),
        "callback": _callback(turn, said),
    }
    table = texts("chat")[key]
    options = table.get("verbatim") or table["replies"]
    # The blanks were filled in differently before: look for the longest piece between them.
    before = "\n".join(turn.replies)
    unused = [each for each in options if max(re.split(r"\{\w+\}", each), key=len).strip()[:60] not in before]
    return str(turn.choose(unused or options, key)).format(**(words | more))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _callback(turn: Turn, said: str) -> str:
    """A word on what was said before, if it belongs to this."""
    wanted = set(keywords(said))
    for earlier in reversed(turn.said[:-1]):
        belongs = wanted & set(keywords(earlier)) and not earlier.startswith("[")
        if belongs and subject_of(earlier) != subject_of(said):
            return f"That belongs to what you said before, about *{subject_of(earlier)}*.\n\n"
    return ""


def _news(turn: Turn, said: str) -> str:
    """What to say when not a person but something that happened has woken the agent."""
    lines = texts("chat")["news"]
    if match := patterns.FINISHED.match(said):
        url, status, rest = match[1], match[2], match[3].removeprefix("It says:\n").strip()
        kind = "finished" if status == "completed" else "failed"
        report = "\n".join(f"> {line}" for line in rest[:2_000].splitlines())
        return f"{turn.choose(lines[kind], 'news').format(url=url, status=status)}\n\n{report}".strip()
    if match := patterns.CHANGES.match(said):
        kind = "debate" if "/debate/" in match[2] and "status" in match[3] else "changed"
        return str(turn.choose(lines[kind], "news")).format(url=match[2], what=match[3])
    return ""


# Intents, in the order in which they are tried. Each returns an answer, or None if it is not meant.


def _nothing(turn: Turn, said: str) -> str | None:
    if re.search(r"\w", said):
        return None
    return "I see the message, but no words in it. What would you like to know or do?"


def _sum(turn: Turn, said: str) -> str | None:
    found = calculate(said)
    if found is None:
        return None
    written, value = found
    if value is None:
        return f"`{written}` has no value that I could write down."
    return f"`{written}` = **{number_text(value)}**"


def _small_talk(turn: Turn, said: str) -> str | None:
    pairs = (
        ("mood", patterns.MOOD), ("thanks", patterns.THANKS), ("bye", patterns.BYE),
        ("feelings", patterns.FEELING), ("joke", patterns.JOKE),
    )  # fmt: skip
    return next((_say(turn, key, said) for key, pattern in pairs if pattern.search(said)), None)


def _greeting(turn: Turn, said: str) -> str | None:
    if not patterns.GREETING.match(said):
        return None
    lines = texts("chat")["greeting"]
    people = [earlier for earlier in turn.said[:-1] if not earlier.startswith("[")]
    if people:
        return str(turn.fresh(lines["again"])).format(before=subject_of(people[-1]))
    return f"{turn.choose(lines['openers'])} You could try:\n\n{_examples(turn)}"


def _examples(turn: Turn) -> str:
    mine = [example for tool, example in EXAMPLES if turn.offers(tool)]
    general = ["*What happens if I pull the plug?*", "*How do I write my own agent?*", "*17 % of 340*"]
    return "\n".join(f"- {example}" for example in (mine + general)[:5])


def _abilities(turn: Turn, said: str) -> str | None:
    if not patterns.ABILITIES.search(said):
        return None
    mine = [f"- **`{tool.name}`** {tool.description.splitlines()[0]}" for tool in turn.tools.values()]
    tools = "I have these tools:\n\n" + "\n".join(mine) if mine else "This agent was given no tools."
    return (
        "I am an agent with a log, run by the offline model: a program with rules and ready-made phrases, "
        "not a language model. I can use tools, do sums, boil down a text that you paste, show small "
        f"programs, and explain how all this works.\n\n{tools}\n\nFor instance:\n\n{_examples(turn)}"
    )


def _history(turn: Turn, said: str) -> str | None:
    if not patterns.HISTORY.search(said):
        return None
    people = [earlier for earlier in turn.said[:-1] if not earlier.startswith("[")]
    if not people:
        return "So far, only that: this is the beginning of our conversation."
    listed = [f"{number}. {subject_of(each, 12)}" for number, each in enumerate(people, 1)]
    skipped = f"({len(listed) - 12} messages before these)\n\n" if len(listed) > 12 else ""
    return f"You spoke about:\n\n{skipped}" + "\n".join(listed[-12:]) + "\n\nShall we go on with one of them?"


def _long_text(turn: Turn, said: str) -> str | None:
    if len(said.split()) < LONG_TEXT:
        return None
    sentences = "\n".join(f"{number}. {each}" for number, each in enumerate(main_sentences(said), 1))
    terms = ", ".join(f"**{word}**" for word in frequent_words(said))
    summary = texts("chat")["summary"]["verbatim"]
    return str(summary).strip().format(words=len(said.split()), sentences=sentences, terms=terms)


def _guide(turn: Turn, said: str) -> str | None:
    entries = [(entry["keys"], entry["verbatim"].strip()) for entry in texts("guide")["entry"]]
    words = len(said.split())
    asks = words < 20 and (said.endswith("?") or patterns.WHAT.match(said) or words < 4)
    asks = asks or bool(patterns.SENDER.match(turn.last))
    found = best_entry(said, entries) if asks else ""
    if found and found[:80] in "\n".join(turn.replies):
        return f"I said a little about that above. Once more, in full:\n\n{found}"
    return found or None


def _code(turn: Turn, said: str) -> str | None:
    if not (patterns.CODE.search(said) and patterns.MAKES.search(said)):
        return None
    library = texts("code")
    entries = [(each["keys"], f"{each['says']}\n\n{each['verbatim'].strip()}") for each in library["snippet"]]
    if found := best_entry(said, entries):
        return found
    about = " ".join(patterns.CODE_WORDS.sub(" ", subject_of(said)).split()) or "solve it"
    name = "_".join(re.sub(r"\W", "", word) for word in keywords(about)[:4]) or "solve"
    skeleton = library["skeleton"]
    body = skeleton["verbatim"].strip().format(name=name, Subject=_capital(about))
    return f"{turn.fresh(skeleton['says'])}\n\n{body}"


def _poem(turn: Turn, said: str) -> str | None:
    if not patterns.POEM.search(said):
        return None
    lines = texts("chat")["haiku"]
    verse = "  \n> ".join(turn.fresh(lines[part], part) for part in ("first", "second", "third"))
    subject = re.sub(r"^.*?\b(?:about|on|of)\s+", "", subject_of(said))
    about = turn.choose(lines["about"]).format(subject=subject, Subject=_capital(subject))
    named = bool(re.search(r"\b(?:about|on|of)\b", said))
    return f"{about}\n\n> {verse}" if named else f"> {verse}"


def _compare(turn: Turn, said: str) -> str | None:
    if match := patterns.PROS.search(said):
        topic = match[1].strip(" ?.!") or subject_of(said)
        return f"Both sides, as well as I can make them:\n\n{both_sides(turn, topic)}"
    pair = patterns.PAIR.search(patterns.PAIR_LEAD.sub("", said)) if patterns.BOTH.search(said) else None
    if pair is None:
        return None
    return _say(turn, "compare", said, first=pair[1].strip(), second=pair[2].strip())


def _structured(turn: Turn, said: str) -> str | None:
    pairs = (
        ("write", patterns.WRITE), ("plan", patterns.PLAN), ("ideas", patterns.IDEAS), ("why", patterns.WHY),
        ("how", patterns.HOW), ("what", patterns.WHAT),
    )  # fmt: skip
    for key, pattern in pairs:
        if pattern.search(said):
            return _say(turn, key, said, subject=_object_of(key, subject_of(said)))
    return None


def _object_of(key: str, subject: str) -> str:
    """The subject without the wish: "plan a trip" is about "a trip", "learn to swim" about "learning"."""
    if key in patterns.WISHES:
        return patterns.WISHES[key].sub("", subject).strip() or subject
    verb, _, rest = subject.partition(" ")
    return f"{gerund(verb)} {rest}" if key == "how" and verb in patterns.ACTIONS else subject


INTENTS: tuple[Intent, ...] = (
    _nothing, _sum, _greeting, _abilities, _history, _long_text, _guide, _small_talk, _code, _poem, _compare,
    _structured,
)  # fmt: skip
