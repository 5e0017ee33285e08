"""What units ask of the tables of entities, in one statement for all that are done together.

Whatever is found here belongs to an entity and is read while its log is locked; see `Unit.tables`.
"""

from __future__ import annotations

from entities.models import Entity, Subscription, Timer, Wake
from shared_state.api import Lookup

_PENDING, _CLAIMED, _INBOX = Wake.State.PENDING.value, Wake.State.CLAIMED.value, Wake.Reason.INBOX.value
_MERGEABLE = f"t.state = '{_PENDING}' AND t.number IS NULL"


def _mergeable(wake: Wake) -> bool:
    """Whether more may be merged into a wake: one that ran before keeps its range, whatever comes after."""
    return wake.state == _PENDING and wake.number is None


AGENTS = Lookup(Entity, "id")
ADDRESSES = Lookup(Entity, "url")
WAKES = Lookup(Wake, "id")
SUBSCRIPTIONS = Lookup(Subscription, "id")
WAITING = Lookup(
    Wake, "entity_id", f"{_MERGEABLE} AND t.reason = '{_INBOX}'",
    lambda wake: _mergeable(wake) and wake.reason == _INBOX, reads=("state", "number", "reason"),
)  # fmt: skip
"""By entity: the wake that further messages are handled with."""
CLAIMED = Lookup(
    Wake, "entity_id", f"t.state = '{_CLAIMED}'", lambda wake: bool(wake.state == _CLAIMED), reads=("state",)
)
"""By entity: the wake that is run now."""
BEGUN = Lookup(
    Wake, "entity_id", f"(t.state = '{_CLAIMED}' OR t.state = '{_PENDING}' AND t.number IS NOT NULL)",
    lambda wake: wake.state == _CLAIMED or (wake.state == _PENDING and wake.number is not None),
    reads=("state", "number"),
)  # fmt: skip
"""By entity: the wake that is run now, or was cut off or put off and goes on later."""
OBSERVERS = Lookup(Subscription, "source_id")
"""By stream: who observes it. Read while that stream is locked."""
MERGEABLE = Lookup(Wake, "subscription_id", _MERGEABLE, _mergeable, reads=("state", "number"), free=True)
"""By subscription: the wake that further changes are merged into, unless it is being claimed just now."""
TIMERS = Lookup(Timer, "id")
TIMER_KEYS = Lookup(Timer, "key")
"""By key: the timers that were set with it, for whomever."""
