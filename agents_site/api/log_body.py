"""The body of an answer that holds a log: made page by page, compressed if the caller takes it."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from gzip import GzipFile
from io import BytesIO

import orjson

from agents_site.api.errors import ApiError
from agents_site.middleware import MIN_BYTES
from shared_state import api
from shared_state.api import StreamInfo, in_thread, wire
from shared_state.core.outage import outage

MOST_EVENTS = 10_000
MOST_TYPES = 64
"""How many types may be asked for at once: rare ones cost a look-up each."""
GZIP_LEVEL = 1
"""Of a log, level 6 leaves two thirds of what 1 leaves, and takes three times as long."""
RANDOM_BYTES = 100
"""As Django's pages: their length tells nobody how well a guess and a secret compress together (BREACH)."""

_TAKES_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?!;\s*q=0(?:\.0*)?\s*(?:,|$))(?:;|,|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What the query of an address asks for. `format`: one of `wire.FORMS`."""

    after: int
    limit: int
    types: list[str] | None
    format: str

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Raises `ApiError` 400 and `InvalidOffset`."""
        after = api.parse_offset(query.get("after") or api.format_offset(0))
        limit = query.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_EVENTS:
            raise ApiError(400, "invalid_limit", f"limit must be a number from 1 to {MOST_EVENTS:,}.")
        format = query.get("format", "plain")
        if format not in wire.FORMS:
            raise ApiError(400, "invalid_format", f"format must be one of: {', '.join(wire.FORMS)}.")
        types = list(dict.fromkeys(name for name in query.get("types", "").split(",") if name))
        if len(types) > MOST_TYPES:
            raise ApiError(400, "too_many_types", f"types may name {MOST_TYPES}; leave it out for all.")
        return cls(after, int(limit), types or None, format)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding allows gzip.

    >>> [takes_gzip(text) for text in ("gzip, br", "br;q=1.0, gzip;q=0.5", "*", "", "gzip;q=0, br", "xgzip")]
    [True, True, True, False, False, False]
    """
    return _TAKES_GZIP.search(accepted) is not None


class LogBody:
    """One answer, in pieces: each is one page of the log, read when it is asked for.

    `stream` is as it was read before: up to its head, whatever is not among the events is of another type.
    """

    def __init__(self, stream: StreamInfo, wanted: Wanted, most_bytes: int, gzip: bool) -> None:
        self._stream = stream
        self._wanted = wanted
        self._form = wire.FORMS[wanted.format]()
        self._last = wanted.after
        self._left = wanted.limit
        self._bytes_left = most_bytes
        self._gzip = gzip
        self._zipping: _Gzip | None = None
        self._begun = self.ended = False

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the first piece decided."""
        if self._zipping is None:
            return []
        return [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]

    async def pieces(self, first: bytes) -> AsyncIterator[bytes]:
        """All of it, after the first piece, which is handed in: it was read together with the stream."""
        yield first
        while not self.ended:
            async with outage.ends_waiting():
                piece = await in_thread(self.piece)
            yield piece

    def piece(self) -> bytes:
        """The next piece. Runs in a thread that uses the database."""
        page = wire.page(
            self._stream.id, self._last, self._left, self._wanted.types, self._form, self._bytes_left
        )
        self._last = page.last
        self._left -= len(page.events)
        self._bytes_left -= page.size
        self.ended = page.complete or self._left <= 0 or self._bytes_left <= 0
        text = ",".join(page.events)
        if not self._begun:
            text = f"{self._head()}{text}"
        elif page.events:
            text = f",{text}"
        piece = (text + self._foot(page.complete) if self.ended else text).encode()
        if not self._begun and self._gzip and len(piece) >= MIN_BYTES:
            self._zipping = _Gzip()
        self._begun = True
        return piece if self._zipping is None else self._zipping.add(piece, last=self.ended)

    def _head(self) -> str:
        told = "" if self._wanted.format == "plain" else f',"format":"{self._wanted.format}"'
        return f'{{"stream":{orjson.dumps(self._stream.path).decode()}{told},"events":['

    def _foot(self, complete: bool) -> str:
        following = max(self._last, self._stream.head) if complete else self._last
        return f'],"next":"{api.format_offset(following)}","more":{"false" if complete else "true"}}}'


class _Gzip:
    def __init__(self) -> None:
        self._out = BytesIO()
        name = "a" * secrets.randbelow(RANDOM_BYTES)
        self._file = GzipFile(name, "wb", GZIP_LEVEL, self._out, mtime=0)

    def add(self, piece: bytes, *, last: bool) -> bytes:
        """What there is to send, after this piece."""
        self._file.write(piece)
        if last:
            self._file.close()
        sent = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return sent
