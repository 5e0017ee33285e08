"""What foreign text costs: an answer while it is said, to each socket; and what is slow to render."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tests.benchmarks.database import bench_database
from tests.benchmarks.options import less
from tests.benchmarks.table import Table

SIZES = less((2_000, 20_000, 60_000), (2_000, 20_000))
STEP = 18
"""Characters of a delta: 60 tokens a second, 20 deltas a second."""
SHAPES = {
    "prose and lists": lambda n: (
        f"## Part {n}\n\n" + "Some **words** about `things` that are quite long and go on. " * 4
        + "\n\n- one item\n- another item\n- a third\n\n"
    ),
    "one list": lambda n: f"- item {n} of a list that has many\n",
    "one block of code": lambda n: ("" if n else "```python\n") + f"def f{n}(x: int): return x + {n}\n",
    "one table": lambda n: ("" if n else "| a | b |\n|---|--:|\n") + f"| row {n} | {n * n} |\n",
}  # fmt: skip
HOSTILE = {
    "cpp, 19,900 line ends": "```cpp\n" + "\n" * 19_900 + "```\n",
    "autohotkey, 5,000 line ends": "```autohotkey\n" + "\n" * 5_000 + "```\n",
    "python, 10,000 times a blank and a line end": "```python\n" + " \n" * 10_000 + "```\n",
    "javascript, 10,000 times a.": "```js\n" + "a." * 10_000 + "\n```\n",
    "markdown, 60,000 times [a](": "[a](" * 60_000,
    "markdown, 20,000 links": "http://a." * 20_000,
}


def run() -> Iterator[Table]:
    """An answer by its length and shape; hostile texts, alone and four at once."""
    said = Table(
        "An answer while it is said",
        ("shape", "characters", "deltas", "KB of HTML", "KB to a socket", "of it HTML and text",
         "times the HTML", "rows read again", "ms of processor a delta"),
        notes=(f"Deltas of {STEP} characters, one push each; the rest is the frames around them.",),
    )  # fmt: skip
    with bench_database("SQLite FULL") as place:
        for shape in SHAPES:
            for size in SIZES:
                said.add(shape, *place.measure(f"{__name__}:say", shape=shape, size=size))
    yield said
    hostile = Table("Texts that are slow to render", ("text", "ms", "shown as it is", "four at once, ms"))
    with bench_database("SQLite FULL") as place:
        for name in HOSTILE:
            hostile.add(name, *place.measure(f"{__name__}:render", name=name))
    yield hostile


def say(shape: str, size: int) -> list[object]:
    """Say an answer, and render each delta as the hub does."""
    from entities.api import NewEntity, registry, spawn_now
    from entities.catalog import log
    from entities.web import streaming
    from shared_state import api
    from shared_state.html import foreign
    from shared_state.live.codecs import encode_events

    registry.store()
    stream = spawn_now(api.Principal("user", "ada"), NewEntity("assistant", f"{len(shape)}-{size}")).stream_id
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        parts.append(SHAPES[shape](len(parts)))
    text, rows = "".join(parts), 0

    def counting(*args: Any) -> list[api.Event]:
        nonlocal rows
        rows += len(found := api.read(*args))
        return found

    vars(streaming)["read"] = counting
    row = {"run_id": "1.0", "status": "streaming"}
    events = [log.new("text", "t", row)]
    for start in range(0, len(text), STEP):
        value = {"text_id": "t", "run_id": "1.0", "delta": text[start : start + STEP], "start": start}
        events.append(log.new("text_delta", f"t-{start}", value))
    events.append(log.new("text", "t", row | {"status": "completed", "content": text}, "update"))
    sent = content = 0
    spent, info = 0.0, api.get_stream_by_id(stream)
    for event in events:
        (made,) = api.unit(partial(_append, stream, event), provenance=api.Provenance("agent:/a/b"))
        began = time.process_time()
        frames = encode_events("timeline", info, made.offset - 1, [made]) or []
        spent += time.process_time() - began
        sent += sum(len(frame.encode()) for frame in frames)
        content += sum(map(_content, frames))
    html, deltas = len(foreign.html(text).encode()), len(events) - 2
    figures = [html / 1e3, sent / 1e3, content / 1e3, content / html]
    return [len(text), deltas, *figures, rows, spent / deltas * 1e3]


def _append(stream: int, event: Any, unit: Any) -> Any:
    return unit.append(stream, [event])


def _content(frame: str) -> int:
    """Bytes of HTML and text in a frame."""
    import json

    place = {"put": 4, "text": 2, "grow": 3}
    changes = json.loads(frame)["changes"]
    return sum(len(change[place[change[0]]].encode()) for change in changes if change[0] in place)


def render(name: str) -> list[object]:
    """Milliseconds of one text, and of four like it at once; whether it was shown as it is."""
    from shared_state.html import foreign

    foreign.html("A process is there. " * 200)
    began = time.perf_counter()
    html = foreign.html(HOSTILE[name])
    one = time.perf_counter() - began
    four = [f"{number}\n\n{HOSTILE[name]}" for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        began = time.perf_counter()
        list(threads.map(partial(foreign.html), four))
        all_four = time.perf_counter() - began
    return [one * 1e3, "yes" if "as-it-is" in html else "no", all_four * 1e3]
