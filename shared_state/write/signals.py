"""Exactly one signal: a lower app tells an upper one what was appended, inside the transaction.

`events_appended` is sent in the thread that runs the unit, after its own changes and before the commit, only
for streams that somebody observes. Arguments: `unit` (the open `Unit`; receivers may append and use the ORM)
and `events` (a list of `Event`). A receiver that raises undoes the unit.
"""

from __future__ import annotations

from django.dispatch import Signal

events_appended = Signal()
