"""The tables: types, entities, what they observe, and their wakes."""

from entities.models.entity import Entity
from entities.models.entity_type import EntityType
from entities.models.subscription import Subscription
from entities.models.timer import Timer
from entities.models.wake import Wake

__all__ = ["Entity", "EntityType", "Subscription", "Timer", "Wake"]
