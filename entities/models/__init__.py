"""The tables: types, entities, what they observe, their wakes, and what is done for all of them."""

from entities.models.chore import Chore
from entities.models.entity import Entity
from entities.models.entity_type import EntityType
from entities.models.subscription import Subscription
from entities.models.timer import Timer
from entities.models.wake import Wake

__all__ = ["Chore", "Entity", "EntityType", "Subscription", "Timer", "Wake"]
