"""What foreign text may cost, by the stream and the owner it is of: nobody's texts keep others waiting.

Text costs processor time in the ordinary, which is free; what it takes beyond that is owed, by its stream
and by the owner of that, and is paid off as time goes by. Who owes too much is not worked for until then.
Who owes least comes first. For any thread; no Django here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

FREE, FREE_PER_BYTE = 0.05, 0.000_005
"""Seconds of processor time that a text may take in the ordinary, and for each of its bytes."""
STREAM, STREAM_PAYS = 1.0, 0.02
"""Seconds that a stream may owe, and how many it pays off in a second."""
OWNER, OWNER_PAYS = 3.0, 0.06
"""The same for all streams of an owner together."""
LEAST = 0.1
"""Seconds that a text has in any case, if it is worked for at all."""
LONG = 30_000
"""Bytes of a text that is long: one place is kept for others."""
KNOWN = 10_000
"""How many of those who owe are remembered."""


class NotAtOnceError(Exception):
    """A text of so many bytes takes long, and was asked for by somebody who cannot wait."""

    def __init__(self, size: int = 0) -> None:
        super().__init__(size)
        self.size = size


@dataclass(slots=True)
class _Debt:
    owed: float
    at: float


class Accounts:
    """Who owes how much. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._debts: OrderedDict[int | str, _Debt] = OrderedDict()

    def owed(self, who: int | str, pays: float) -> float:
        """Seconds that somebody owes by now."""
        with self._lock:
            return self._owed(who, pays)

    def add(self, who: int | str, pays: float, seconds: float) -> None:
        """Let somebody owe more."""
        with self._lock:
            owed = self._owed(who, pays) + seconds
            self._debts[who] = _Debt(owed, self._clock())
            self._debts.move_to_end(who)
            while len(self._debts) > KNOWN:
                self._debts.popitem(last=False)

    def _owed(self, who: int | str, pays: float) -> float:
        debt = self._debts.get(who)
        return max(0.0, debt.owed - pays * (self._clock() - debt.at)) if debt is not None else 0.0


class Account:
    """Of a stream and its owner; without accounts, of nobody: it owes nothing, and has no end."""

    def __init__(self, accounts: Accounts | None = None, stream: int = 0, owner: str = "") -> None:
        self._accounts = accounts
        self._limits: Mapping[int | str, tuple[float, float]] = (
            {stream: (STREAM, STREAM_PAYS), owner: (OWNER, OWNER_PAYS)} if accounts is not None else {}
        )

    def spent(self) -> float:
        """Which part of what may be owed is; from 1 on, nothing is done for it."""
        if self._accounts is None:
            return 0.0
        return max(self._accounts.owed(who, pays) / most for who, (most, pays) in self._limits.items())

    def seconds(self, size: int) -> float:
        """How long a text of so many bytes may take now; 0 if nothing is done for it."""
        if self._accounts is None:
            return float("inf")
        if (spent := self.spent()) >= 1:
            return 0.0
        return max(LEAST, ordinary(size) + STREAM * (1 - spent))

    def charge(self, seconds: float, size: int, *, in_vain: bool = False) -> None:
        """Say what a text of so many bytes took; what came to nothing is owed altogether."""
        owed = seconds if in_vain else seconds - ordinary(size)
        if self._accounts is None or owed <= 0:
            return
        for who, (_, pays) in self._limits.items():
            self._accounts.add(who, pays, owed)


def ordinary(size: int) -> float:
    """Seconds that a text of so many bytes may take for nothing."""
    return FREE + FREE_PER_BYTE * size


@dataclass(eq=False, slots=True)
class Turn:
    """Somebody who waits with a text of so many bytes."""

    account: Account
    size: int

    def place(self) -> tuple[float, int]:
        """Who owes least at this moment comes first, of these the shortest text."""
        return self.account.spent(), self.size


class Queue:
    """Who waits and who is at work, `most` at a time. Not for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.waiting: list[Turn] = []
        self.working: list[Turn] = []

    def next(self) -> Turn | None:
        """Whose turn it is, if there is room; of equals, the first."""
        if len(self.working) >= self._most:
            return None
        long = sum(turn.size > LONG for turn in self.working)
        has_room = long < max(1, self._most - 1)
        found = (turn for turn in self.waiting if has_room or turn.size <= LONG)
        return min(found, key=Turn.place, default=None)

    def begin(self, turn: Turn) -> None:
        """Let somebody who waited work."""
        self.waiting.remove(turn)
        self.working.append(turn)


NOBODY = Account()
accounts = Accounts()
_current: ContextVar[Account] = ContextVar("account", default=NOBODY)
_at_once: ContextVar[bool] = ContextVar("at_once", default=False)


def current() -> Account:
    """On whose behalf text is rendered here and now."""
    return _current.get()


def cannot_wait() -> bool:
    """Whether what takes long is to be refused here and now, with `NotAtOnceError`."""
    return _at_once.get()


def account_of(stream: Any) -> Account:
    """The account of a stream, given by its id and its owner."""
    return Account(accounts, stream.id, stream.owner)


@contextmanager
def on_behalf_of(stream: Any) -> Iterator[None]:
    """Whose text is rendered inside: that of a stream, by its id and its owner."""
    token = _current.set(account_of(stream))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def at_once() -> Iterator[None]:
    """Refuse inside what takes long; others wait for this thread."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)
