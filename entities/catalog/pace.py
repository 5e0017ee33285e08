"""How fast a text was written, in a few bytes: enough to type it again when its pieces are gone.

A pace is a list of points, each a time in milliseconds since the text began and how many characters there
were by then. It is stored as the differences between points, as variable-length numbers, in base64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from itertools import pairwise

MOST_POINTS = 64
"""How many points are kept of a text, however long it is."""

Point = tuple[int, int]
"""Milliseconds since the beginning, and characters by then."""


def encode(points: Sequence[Point]) -> str | None:
    """Points in order as text, the least telling left out; `None` if there are none.

    >>> encode([(0, 5), (120, 11)])
    'AAV4Bg=='
    """
    if not points:
        return None
    kept = [(0, 0), *_thinned(points)]
    numbers = (number for a, b in pairwise(kept) for number in (max(0, b[0] - a[0]), max(0, b[1] - a[1])))
    return b64encode(b"".join(map(_varint, numbers))).decode()


def decode(pace: str) -> list[Point]:
    """The points of a pace.

    >>> decode("AAV4Bg==")
    [(0, 5), (120, 11)]
    """
    numbers, number, shift = [], 0, 0
    for byte in b64decode(pace):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    points, time, length = [], 0, 0
    for later, longer in zip(numbers[::2], numbers[1::2], strict=True):
        time, length = time + later, length + longer
        points.append((time, length))
    return points


def typed(content: str, pace: str | None) -> Iterator[tuple[int, str]]:
    """A text in pieces, each with the milliseconds after which it was there; together they are the text.

    >>> list(typed("Hello world", "AAV4Bg=="))
    [(0, 'Hello'), (120, ' world')]
    """
    points = decode(pace) if pace else []
    done = 0
    for time, length in points[:-1]:
        if length > done:
            yield time, content[done:length]
            done = length
    if content[done:]:
        yield points[-1][0] if points else 0, content[done:]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """As many as are kept: the first, the last, and of those between the ones nearest to equal times."""
    if len(points) <= MOST_POINTS:
        return list(points)
    begin, span = points[0][0], points[-1][0] - points[0][0]
    kept, place = [points[0]], 1
    for number in range(1, MOST_POINTS - 1):
        wanted = begin + span * number / (MOST_POINTS - 1)
        last = len(points) - (MOST_POINTS - number)  # leave one for each that is still to be chosen
        while place < last and points[place][0] < wanted:
            place += 1
        kept.append(points[place])
        place += 1
    return [*kept, points[-1]]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
