"""Timers that are due become messages, in the unit that claims."""

from __future__ import annotations

import structlog

from entities.exceptions import EntitiesError
from entities.lifecycle import inbox
from entities.models import Timer
from shared_state.api import SharedStateError, Unit, database

logger = structlog.get_logger(__name__)


def deliver_due(unit: Unit, limit: int = 100) -> int:
    """Deliver what is due. Returns how many timers there were; one whose receiver is gone is dropped."""
    due = Timer.objects.filter(due_at__lte=unit.now).select_related("entity").order_by("due_at")
    if database.connection().vendor == "postgresql":
        due = due.select_for_update(skip_locked=True, of=("self",))
    found = list(due[:limit])
    for timer in found:
        # Stopped meanwhile, or its schema changed, or its log was closed: nobody is there to hear of it, and
        # what was refused once must not keep the worker from its other work.
        try:
            inbox.deliver(
                unit,
                timer.entity,
                timer.sender,
                timer.payload,
                key=timer.key,
                message_type=timer.message_type,
            )
        except (EntitiesError, SharedStateError) as error:
            logger.warning("timer_dropped", entity=timer.entity.url, reason=str(error))
    if found:
        Timer.objects.filter(pk__in=[timer.pk for timer in found]).delete()
    return len(found)
