"""Settings from the environment fail loudly, and say what they want."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from agents_site import env

NAME = "AGENTS_SOMETHING"


@pytest.mark.parametrize(("said", "meant"), [("1", True), ("Yes", True), ("off", False), (" 0 ", False)])
def test_it_reads_a_flag(monkeypatch: pytest.MonkeyPatch, said: str, meant: bool) -> None:
    monkeypatch.setenv(NAME, said)

    assert env.flag(NAME, default=not meant) is meant


@pytest.mark.parametrize("said", ["", "  "])
def test_it_takes_an_empty_variable_for_an_absent_one(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(NAME, said)

    assert env.flag(NAME, default=True) is True
    assert env.integer(NAME, 7) == 7
    assert env.words(NAME, ("a",)) == ["a"]


@pytest.mark.parametrize(
    ("read", "said", "complaint"),
    [
        (lambda: env.flag(NAME), "maybe", "'maybe'; it must be one of: 1, on, true, yes"),
        (lambda: env.integer(NAME, 1), "many", "'many'; it must be a whole number"),
        (lambda: env.integer(NAME, 1, minimum=2), "1", "at least 2"),
        (lambda: env.number(NAME, 1), "fast", "'fast'; it must be a number"),
        (lambda: env.number(NAME, 1), "nan", "finite"),
        (lambda: env.choice(NAME, "a", ("a", "b")), "c", "'c'; it must be one of: a, b"),
        (lambda: env.url(NAME, ("redis", "unix")), "http://x", "redis://, unix://"),
        (lambda: env.url(NAME, ("redis",)), "localhost", "the scheme 'none'"),
    ],
)
def test_it_refuses_what_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], said: str, complaint: str
) -> None:
    monkeypatch.setenv(NAME, said)

    with pytest.raises(ImproperlyConfigured, match=NAME) as refused:
        read()
    assert complaint in str(refused.value)


def test_it_never_repeats_the_password_of_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "mysql://me:hunter2@localhost/db")

    with pytest.raises(ImproperlyConfigured) as refused:
        env.url(NAME, ("postgresql",))
    assert "hunter2" not in str(refused.value)


def test_it_reads_words_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " a.example , b.example,")
    assert env.words(NAME) == ["a.example", "b.example"]
    monkeypatch.setenv(NAME, "0.5")
    assert env.number(NAME, 3) == 0.5


def test_it_reads_a_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("shh\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "key"))

    assert env.secret(NAME) == "shh"


def test_it_refuses_a_secret_given_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "shh")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "key"))

    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.secret(NAME)


@pytest.mark.parametrize("content", [None, " \n"])
def test_it_refuses_a_secret_file_that_holds_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "key"))

    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE"):
        env.secret(NAME)
