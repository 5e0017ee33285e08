"""A unit on its way to the writer, and to whom the answer goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared_state.core.types import Fence, NewEvent, Provenance
from shared_state.write.needs import needs_of
from shared_state.write.unit import Unit


@dataclass(slots=True, eq=False)
class Job:
    """One unit on its way, or a bare append to one stream (`plain`), which needs no savepoint."""

    provenance: Provenance
    fence: Fence | None
    run: Callable[[Unit], Any] | None
    plain: tuple[int, Sequence[NewEvent]] | None
    future: Any
    loop: asyncio.AbstractEventLoop | None
    """Where `future` belongs if it is one of asyncio's."""
    background: bool = False
    """Whether others go first: what nobody waits for, such as a piece of a text that is still being said."""
    late: tuple[int, ...] = ()
    """Streams that it did not name and came to when it ran before: locked beforehand the next time."""
    collided: bool = False
    """Whether another process made what it was making, when it ran before."""
    result: Any = None
    error: BaseException | None = None
    again: bool = False

    def settle(self, result: Any = None, error: BaseException | None = None, *, again: bool = False) -> None:
        """Say how it went; `again` if it should be tried once more."""
        self.result, self.error, self.again = result, error, again

    def streams(self) -> Iterator[int]:
        """The streams that are locked for it beforehand."""
        yield from self.late
        if self.fence is not None:
            yield self.fence.stream
        if self.plain is not None:
            yield self.plain[0]
        else:
            yield from needs_of(self.run).streams
