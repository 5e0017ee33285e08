"""Foreign text as HTML, within bounds: the one door to it for pages and pushes alike. No Django here.

What a text costs to render may grow with its square, so only short ones are rendered in the thread that
asks; all others are in a process that is ended if it takes too long. A text that could not be rendered is
shown as it is, and remembered as such; so is, for a while, whatever is of a stream or an owner that has taken
too much time (`core.budget`). What was rendered is remembered by its content, so a page costs nothing that a
push of the same text has paid for.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from html import escape

import structlog

from shared_state.core import budget
from shared_state.html import markdown
from shared_state.html.render_process import NotNowError, NotRenderedError, RenderProcesses

log = structlog.get_logger(__name__)

SHORT = 1_000
"""Bytes of a text that is rendered where it is asked for: what is quadratic in it is still no time at all."""
QUICK = 4_000
"""Bytes of a text that takes no longer than others can wait: a tenth of a second, whatever it is."""
CELLS = 1_000
"""How many cells its tables may have: 250 lines of `|` below 125 columns are 30,000, and half a second."""
LONGEST = 300_000
"""Bytes of a text that is rendered at all; no event is longer, as events are bounded by default."""
FREE, WIDEST = 50_000, 30
"""Characters that the HTML of a text may have, and how many for each byte of the text besides.

Code in colours has up to twenty. A link that is defined once and used a thousand times has a thousand.
"""
MOST = 600_000
"""Characters that the HTML of a text may have in any case."""
REMEMBERED = 16_000_000
"""How many characters of HTML are remembered."""

Blocks = tuple[str, ...]
_AS_IT_IS = '<p class="as-it-is">'


class Renderer:
    """Renders and remembers. For any thread."""

    def __init__(self, processes: RenderProcesses | None = None) -> None:
        self.processes = processes or RenderProcesses()
        # What is quick has a process of its own: it does not wait for what is not.
        self.quick = processes or RenderProcesses(1)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Blocks] = OrderedDict()
        self._size = 0
        self._under_way: dict[bytes, Future[Blocks]] = {}

    def blocks(self, text: str, *, loose: bool = False) -> Blocks:
        """The HTML of a text in markdown, block by block; those who ask for the same at once share it."""
        data = text.encode(errors="replace")
        key = hashlib.blake2b(data, digest_size=20, salt=b"loose" if loose else b"").digest()
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        if len(data) > SHORT and budget.current().spent() >= 1:
            log.info(
                "text_not_rendered_now", error="Its stream or owner owes too much.", characters=len(text)
            )
            return (as_it_is(text),)
        if len(data) > QUICK and budget.cannot_wait():
            raise budget.NotAtOnceError(len(data))
        with self._lock:
            mine: Future[Blocks] = Future()
            shared = self._under_way.setdefault(key, mine)
        if shared is not mine:
            return shared.result()
        found: Blocks | None = None
        try:
            found = self._rendered(text, len(data), loose)
        except NotNowError as error:
            log.warning("text_not_rendered_now", error=str(error), characters=len(text))
        finally:
            self._keep(key, found)
            mine.set_result((as_it_is(text),) if found is None else found)
        return mine.result()

    def _rendered(self, text: str, size: int, loose: bool) -> Blocks:
        """The blocks, or the text as it is if it cannot be rendered. Raises `NotNowError`."""
        if size > LONGEST:
            return (as_it_is(text),)
        try:
            if size <= SHORT and text.count("|") * text.count("\n") <= CELLS:
                found = tuple(markdown.blocks(text, loose=loose))
            else:
                processes = self.quick if size <= QUICK else self.processes
                found = tuple(processes.blocks(text, loose=loose, account=budget.current()))
            if _size(found) <= min(MOST, FREE + WIDEST * size):
                return found
            log.warning("text_not_rendered", characters=len(text), html=_size(found))
        except NotNowError:
            raise
        except NotRenderedError:
            log.warning("text_not_rendered", characters=len(text))
        except Exception:  # a text at which a library fails is no reason not to show the page
            log.exception("text_not_rendered", characters=len(text))
        return (as_it_is(text),)

    def _keep(self, key: bytes, found: Blocks | None) -> None:
        """Remember what was rendered; what was not, for want of time, is tried again by the next who asks."""
        with self._lock:
            del self._under_way[key]
            if found is None:
                return
            self._known[key] = found
            self._size += _size(found)
            while self._size > REMEMBERED and len(self._known) > 1:
                self._size -= _size(self._known.popitem(last=False)[1])


def _size(found: Blocks) -> int:
    return 100 + sum(map(len, found))


def as_it_is(text: str) -> str:
    """A text that is not rendered."""
    return f"{_AS_IT_IS}{escape(text)}</p>\n"


def is_as_it_is(html: str) -> bool:
    """Whether a block is a text that was not rendered; what is rendered has no such class."""
    return html.startswith(_AS_IT_IS)


_renderer = Renderer()
on_behalf_of = budget.on_behalf_of
"""With this around it, a page renders on the account of a stream."""


def blocks(text: str, *, loose: bool = False) -> Blocks:
    """Safe HTML for a text in markdown, one element for each block; see `markdown.blocks`."""
    return _renderer.blocks(text, loose=loose)


def html(text: str) -> str:
    """Safe HTML for a text in markdown."""
    return "".join(blocks(text))


def _forked() -> None:
    """Processes and locks are the parent's."""
    global _renderer
    _renderer.processes.forget()
    _renderer.quick.forget()
    _renderer = Renderer()


@atexit.register
def end() -> None:
    """End the processes; they would end by themselves, but later."""
    _renderer.processes.end()
    _renderer.quick.end()


os.register_at_fork(after_in_child=_forked)
