"""What of a conversation goes to a model: fit for any provider, and cut where one will not take it whole.

A conversation is never given up over what was said in it. What a model said once goes back to it for ever,
so names and ids that no provider takes are made to fit; what one still refuses is written as plain text, then
cut from the oldest turns on, then within texts. Each time a note says so. All of it is pure.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from entities.agent.messages import Block, Message, Text, Thinking, ToolAnswer, ToolCall
from entities.agent.prompt import NO_RESULT, merged
from entities.catalog import sanitize

FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME = 64
LEAST = 200
"""Texts are not cut to fewer bytes than this."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left out of a window. It stays as it is while the window grows, as caches want it."""

    turns: int = 0
    """How many of the oldest turns are left out, but never what is asked now."""
    texts: int = 0
    """How many of the oldest texts of what is asked now are left out: those that waited with the last."""
    most: int = 0
    """How many bytes each text may have; 0 for all."""
    plain: int = 0
    """How many of the oldest turns have their calls and results written out as texts."""


def window(messages: Sequence[Message], cut: Cut) -> tuple[Message, ...]:
    """The conversation as a provider takes it."""
    kept = [_plain(each) if number < cut.plain else each for number, each in enumerate(messages)]
    left_out = set(_droppable(messages)[: cut.turns])
    if cut.texts:
        asked = _asked(messages)
        kept[asked] = _without(kept[asked], cut.texts)
    kept = [each for number, each in enumerate(kept) if number not in left_out]
    if cut.most:
        kept = [_shortened(each, cut.most) for each in kept]
    if left_out or cut.texts:
        gone = len(left_out) + cut.texts
        note = f"[The conversation could not be sent whole: its {gone} oldest turns are left out.]"
        kept.insert(0, Message("user", (Text(note),)))
    return _paired(merged(kept))


def smaller(messages: Sequence[Message], cut: Cut, *, whole_texts: bool = False) -> Cut | None:
    """A cut that leaves half of what `cut` leaves; `None` if there is nothing left to leave out.

    `whole_texts`: of what is asked, the older texts go as a whole before any is cut.
    """
    given, goal = cut, size_of(window(messages, cut)) // 2
    droppable = len(_droppable(messages))
    if cut.turns < droppable:
        # The fewest turns that do: looked for by halves, since each look goes through the whole conversation.
        more = range(cut.turns + 1, droppable + 1)
        place = bisect_left(
            more, x=True, key=lambda turns: size_of(window(messages, replace(given, turns=turns))) <= goal
        )
        cut = replace(cut, turns=more[min(place, len(more) - 1)])
        if place < len(more):
            return cut
    older = _texts_of(messages) - 1
    if whole_texts and cut.texts < older:
        return replace(cut, texts=(cut.texts + older + 1) // 2)
    most = cut.most or max((_size(block) for each in messages for block in each.blocks), default=0)
    while most > LEAST:
        most = max(LEAST, most // 2)
        cut = replace(cut, most=most)
        if size_of(window(messages, cut)) <= goal:
            return cut
    return cut if cut != given else None


def plainer(messages: Sequence[Message], cut: Cut) -> Cut | None:
    """The same with calls, results and reasoning so far as plain texts; `None` if there are no more."""
    later = (block for each in messages[cut.plain :] for block in each.blocks)
    if all(isinstance(block, Text) for block in later):
        return None
    return replace(cut, plain=len(messages))


def size_of(messages: Iterable[Message]) -> int:
    """About how many bytes messages have as JSON."""
    return sum(_size(block) for message in messages for block in message.blocks)


def _droppable(messages: Sequence[Message]) -> list[int]:
    """The turns that may be left out, the oldest first: not what is asked, nor the last answers to it."""
    asked = _asked(messages)
    last = range(max(asked + 1, len(messages) - 2), len(messages))
    return [number for number in range(len(messages)) if number != asked and number not in last]


def _asked(messages: Sequence[Message]) -> int:
    """The turn that is answered now; -1 if there is none."""
    return max((number for number, each in enumerate(messages) if _asks(each)), default=-1)


def _texts_of(messages: Sequence[Message]) -> int:
    asked = _asked(messages)
    return 0 if asked < 0 else sum(isinstance(block, Text) for block in messages[asked].blocks)


def _without(message: Message, oldest: int) -> Message:
    """The same without so many of its texts."""
    places = [place for place, block in enumerate(message.blocks) if isinstance(block, Text)][:oldest]
    return Message(message.role, tuple(b for place, b in enumerate(message.blocks) if place not in places))


def _asks(message: Message) -> bool:
    return message.role == "user" and any(isinstance(block, Text) for block in message.blocks)


def _size(block: Block) -> int:
    match block:
        case Text(text):
            return len(text.encode("utf-8", "replace"))
        case Thinking(text=text, signature=signature, redacted=redacted):
            return len(text) + len(signature) + len(redacted)
        case ToolCall(name=name, arguments=arguments):
            return len(name) + len(_written(arguments))
        case ToolAnswer(content=content):
            return len(content.encode("utf-8", "replace"))


def _written(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), ensure_ascii=False, default=str)


def _shortened(message: Message, most: int) -> Message:
    return Message(message.role, tuple(_short(block, most) for block in message.blocks))


def _short(block: Block, most: int) -> Block:
    match block:
        case Text(text):
            return Text(sanitize.shortened(text, most))
        case ToolAnswer(content=content):
            return replace(block, content=sanitize.shortened(content, most))
        case ToolCall(arguments=arguments) if _size(block) > most:
            return replace(block, arguments=sanitize.fitted(arguments, most))
        case _:
            return block


def _plain(message: Message) -> Message:
    return Message(message.role, tuple(_as_text(b) for b in message.blocks if not isinstance(b, Thinking)))


def _as_text(block: Block) -> Block:
    match block:
        case ToolCall(name=name, arguments=arguments):
            return Text(f"[Called {name} with {_written(arguments)}]")
        case ToolAnswer(content=content):
            return Text(f"[It answered]\n{content}")
        case _:
            return block


def _paired(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Each call with a name and an id that providers take, its own, and with its answer right after it."""
    result: list[Message] = []
    seen: set[str] = set()
    open: dict[str, deque[str]] = defaultdict(
        deque
    )  # by the id that was given, those that wait for an answer
    for message in messages:
        if message.role == "assistant":
            blocks = tuple(_named(block, seen, open) for block in message.blocks)
        else:
            answers = [
                replace(block, tool_call_id=open[block.tool_call_id].popleft())
                for block in message.blocks
                if isinstance(block, ToolAnswer) and open[block.tool_call_id]
            ]
            others = [block for block in message.blocks if not isinstance(block, ToolAnswer)]
            blocks = (*answers, *_unanswered(open), *others)
        result.append(Message(message.role, blocks))
    if left := tuple(_unanswered(open)):
        result.append(Message("user", left))
    return merged(result)


def _named(block: Block, seen: set[str], open: dict[str, deque[str]]) -> Block:
    if not isinstance(block, ToolCall):
        return block
    given = FORBIDDEN.sub("_", block.id)[:LONGEST_NAME]
    ident, count = given or "call", 1
    while ident in seen:
        count += 1
        ident = f"{(given or 'call')[: LONGEST_NAME - 8]}_{count}"
    seen.add(ident)
    open[block.id].append(ident)
    name = FORBIDDEN.sub("_", block.name)[:LONGEST_NAME] or "unnamed"
    return replace(block, id=ident, name=name)


def _unanswered(open: dict[str, deque[str]]) -> Iterable[ToolAnswer]:
    """Answers for calls that have none; nothing is open afterwards."""
    for waiting in open.values():
        while waiting:
            yield ToolAnswer(waiting.popleft(), NO_RESULT, is_error=True)


class Cuts:
    """How long a window was that was too long, by conversation and model; of this process's newest ones."""

    MOST = 1_000

    def __init__(self) -> None:
        self._sizes: OrderedDict[tuple[int, str], int] = OrderedDict()

    def learn(self, place: tuple[int, str], size: int) -> None:
        """A window of so many bytes was refused."""
        self._sizes[place] = min(size, self._sizes.pop(place, size))
        while len(self._sizes) > self.MOST:
            self._sizes.popitem(last=False)

    def known(self, place: tuple[int, str], messages: Sequence[Message], cut: Cut) -> Cut:
        """A cut with which the window is shorter than what was refused before."""
        limit = self._sizes.get(place)
        while limit is not None and size_of(window(messages, cut)) >= limit:
            less = smaller(messages, cut)
            if less is None:
                break
            cut = less
        return cut


cuts = Cuts()
"""Those of this process: without them each run would be refused once before it is cut."""
