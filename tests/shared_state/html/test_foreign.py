"""Foreign text cannot stop the site: what is too much is ended, said as it is, and the others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared_state.core.budget import NOBODY, Account
from shared_state.html import foreign, markdown, render_process
from shared_state.html.foreign import SHORT, Renderer, as_it_is
from shared_state.html.growing import Growing
from shared_state.html.render_process import RenderProcess, RenderProcesses
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

FINE = "A **fine** text.\n\n" * 200
ENDLESS = "[a](" * 60_000
"""Markdown at which the parser computes for minutes."""


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    found = Renderer(RenderProcesses(1))
    yield found
    found.processes.end()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_process, "PROCESSOR_SECONDS", 0.2)


def whole(text: str) -> tuple[str, ...]:
    return tuple(markdown.blocks(text))


def lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_short_text_needs_no_process(renderer: Renderer) -> None:
    assert renderer.blocks("**Short**") == whole("**Short**")
    assert renderer.processes.pids() == set()


def test_a_long_text_is_rendered_alike_by_a_process(renderer: Renderer) -> None:
    assert len(FINE) > SHORT
    assert renderer.blocks(FINE) == whole(FINE)
    assert renderer.blocks(FINE + "é🐝", loose=True) == whole(FINE + "é🐝")
    assert len(renderer.processes.pids()) == 1


@pytest.mark.usefixtures("impatient")
def test_what_takes_too_long_is_said_as_it_is_and_not_tried_again(renderer: Renderer) -> None:
    assert renderer.blocks(ENDLESS) == (as_it_is(ENDLESS),)
    assert renderer.processes.ended == 1
    assert renderer.blocks(ENDLESS) == (as_it_is(ENDLESS),)
    assert renderer.processes.ended == 1
    assert renderer.blocks(FINE) == whole(FINE)


@pytest.mark.usefixtures("impatient")
def test_a_text_that_grows_is_not_tried_part_by_part(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "_renderer", renderer)

    grown = Growing.of(f"Fine.\n\n{ENDLESS}\n\n" + f"{ENDLESS}x\n\n" * 5)

    assert [foreign.is_as_it_is(html) for html in grown.blocks] == [False] + [True] * 6
    assert renderer.processes.ended == 1


@pytest.mark.usefixtures("impatient")
def test_others_go_on_beside_it() -> None:
    renderer = Renderer(RenderProcesses(2))
    texts = [f"{number} {ENDLESS if number % 3 == 0 else FINE}" for number in range(9)]
    with ThreadPoolExecutor(9) as threads:
        found = list(threads.map(renderer.blocks, texts))
    renderer.processes.end()

    fine = [number % 3 != 0 for number in range(9)]
    assert [each == whole(text) for each, text, good in zip(found, texts, fine, strict=True) if good] == [
        True
    ] * 6
    assert [each[0].startswith('<p class="as-it-is">') for each in found] == [not good for good in fine]
    assert renderer.processes.ended == 3


def test_the_same_text_asked_for_at_once_is_rendered_once() -> None:
    asked = []

    class Counting(RenderProcesses):
        def blocks(self, text: str, *, loose: bool, account: Account = NOBODY) -> list[str]:
            asked.append(text)
            together.wait(10)
            return super().blocks(text, loose=loose, account=account)

    together = threading.Event()
    renderer = Renderer(Counting(2))
    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(renderer.blocks, FINE) for _ in range(4)]
        together.set()
        assert {each.result() for each in found} == {whole(FINE)}
    renderer.processes.end()

    assert len(asked) == 1


def test_a_process_that_somebody_killed_is_replaced_and_asked_again(renderer: Renderer) -> None:
    renderer.blocks(FINE)
    (pid,) = renderer.processes.pids()
    os.kill(pid, signal.SIGKILL)

    assert renderer.blocks(FINE + "more") == whole(FINE + "more")
    assert pid not in renderer.processes.pids()


def test_a_process_that_hangs_is_ended(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer.blocks(FINE)
    (pid,) = renderer.processes.pids()
    monkeypatch.setattr(render_process, "SECONDS", 0.2)
    os.kill(pid, signal.SIGSTOP)

    assert renderer.blocks(FINE + "more") == (as_it_is(FINE + "more"),)
    wait_until(lambda: not lives(pid), "it to be gone", 10)


def test_a_process_outlives_what_is_meant_for_the_server(renderer: Renderer) -> None:
    """A supervisor's SIGTERM and a terminal's Ctrl-C reach all processes; the server finishes its pages."""
    renderer.blocks(FINE)
    (pid,) = renderer.processes.pids()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(pid, number)

    assert renderer.blocks(FINE + "more") == whole(FINE + "more")
    assert renderer.processes.pids() == {pid}
    renderer.processes.end()
    assert not lives(pid)


def test_it_has_no_django_and_no_secrets() -> None:
    command = "import sys, shared_state.html.render_child; print('django' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"

    process = RenderProcess()
    names = [each.split(b"=")[0] for each in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")]
    process.end()
    assert set(names) <= {b"", b"PATH", b"LANG", b"LD_LIBRARY_PATH", b"PYTHONHOME", b"PYTHONPATH"}


PARENT = """
import sys
from shared_state.html import foreign
foreign.html(sys.argv[1])
print(*foreign._renderer.quick.pids(), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["killed", "ended", "interrupted"])
def test_it_goes_with_its_parent(how: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, FINE],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert lives(pid)

    if how == "ended":
        parent.communicate("\n")
    else:
        parent.send_signal(signal.SIGKILL if how == "killed" else signal.SIGINT)
        parent.communicate()

    wait_until(lambda: not lives(pid), "it to go", 10)


FORKS = """
import os, sys
from shared_state.html import foreign, markdown
text, others = sys.argv[1], lambda: foreign._renderer.quick.pids()
fine, before = foreign.html(text) == markdown.render(text), others()
child = os.fork()
fine = fine and foreign.html(text + "more") == markdown.render(text + "more") and len(others()) == 1
if child == 0:
    fine = fine and not others() & before
    foreign.end()
    os._exit(0 if fine else 1)
fine = fine and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(fine and others() == before and foreign.html(text + "again") == markdown.render(text + "again"))
"""


def test_a_fork_has_processes_of_its_own() -> None:
    """In a process of its own: this one has threads, and must not be forked."""
    command = [sys.executable, "-c", FORKS, FINE]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "True\n"


def test_without_a_process_texts_are_said_as_they_are_until_there_is_one(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert renderer.blocks(FINE) == (as_it_is(FINE),)
    monkeypatch.undo()
    assert renderer.blocks(FINE) == whole(FINE)


def test_who_waits_is_bounded(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_process, "WAITING", 0)

    assert renderer.blocks(FINE) == (as_it_is(FINE),)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "REMEMBERED", 20_000)
    renderer = Renderer()
    for number in range(500):
        renderer.blocks(f"{number} words " * 20)

    assert renderer._size <= 20_000
    assert 10 < len(renderer._known) < 100


def test_a_text_as_it_is_is_no_markup() -> None:
    assert as_it_is("<b>&") == '<p class="as-it-is">&lt;b&gt;&amp;</p>\n'
