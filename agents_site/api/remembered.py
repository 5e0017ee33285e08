"""Whose session it is, remembered for a few seconds: what two queries found out holds for the next requests.

A session that ended elsewhere, or a user who was switched off there, is so refused a few seconds later; what
happens in this process (signing out, a session deleted, a user saved) is forgotten at once. Nobody is never
remembered: whoever signs in is known with the next request.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models.signals import post_delete, post_save

from shared_state.api import Principal

SECONDS = 5.0
"""How long an answer holds."""
MOST = 10_000
"""How many are remembered; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    user: Any
    until: float


class Remembered:
    """Principals by what proves them. Credentials are kept as their hashes. May be used by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()
        self.forgotten = 0
        """How often something was forgotten; what was looked up before the last time may be out of date."""

    def get(self, credential: str) -> Principal | None:
        """Whose it is, if that was found out a few seconds ago."""
        found = self._known.get(_hash(credential))
        return None if found is None or found.until <= self._clock() else found.principal

    def put(self, credential: str, principal: Principal, user: Any, forgotten: int) -> None:
        """Remember what was looked up while `forgotten` was this; nothing if that has changed since."""
        key = _hash(credential)
        with self._lock:
            if forgotten != self.forgotten:
                return
            self._known.pop(key, None)
            self._known[key] = _Known(principal, user, self._clock() + SECONDS)
            while len(self._known) > MOST:
                del self._known[next(iter(self._known))]

    def forget(self, *credentials: str) -> None:
        """These are nobody's any more."""
        with self._lock:
            self.forgotten += 1
            for credential in credentials:
                self._known.pop(_hash(credential), None)

    def forget_user(self, user: Any) -> None:
        """Something about a user has changed; by primary key."""
        with self._lock:
            self.forgotten += 1
            self._known = {key: known for key, known in self._known.items() if known.user != user}


def _hash(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()


sessions = Remembered()


def credential_of(session_key: str, local: bool) -> str:
    """What stands for a request: its session, and whether it may be signed in without one."""
    return f"{'local' if local else 'session'}:{session_key}"


def forget_session(session_key: str | None) -> None:
    """A session has ended."""
    if session_key:
        sessions.forget(credential_of(session_key, True), credential_of(session_key, False))


def listen() -> None:
    """Forget what changes in this process. Called once, when the apps are there."""
    user_logged_out.connect(_signed_out, dispatch_uid="agents_site.remembered")
    for signal in (post_save, post_delete):
        signal.connect(_user_changed, sender=get_user_model(), dispatch_uid="agents_site.remembered")
    post_delete.connect(_session_deleted, dispatch_uid="agents_site.remembered.session")


def _signed_out(sender: Any, request: Any, **_: Any) -> None:
    """Called before Django empties the session."""
    forget_session(getattr(getattr(request, "session", None), "session_key", None))


def _user_changed(sender: Any, instance: Any, **_: Any) -> None:
    sessions.forget_user(instance.pk)


def _session_deleted(sender: Any, instance: Any, **_: Any) -> None:
    """Called for every row that is deleted; those of sessions, of whichever model, have a key."""
    if isinstance(instance, AbstractBaseSession):
        forget_session(instance.session_key)
