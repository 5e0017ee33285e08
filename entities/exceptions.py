"""Everything that `entities` raises, as one tree. A class's docstring is its default message.

EntitiesError
├── RegistryError            the definition of a type is wrong
│   ├── TypeAlreadyDefined
│   └── UnknownType
├── InvalidInput             arguments or a message do not fit their schema
├── EntityExists             the address is taken
├── EntityNotFound           nobody there (or not for this principal)
├── EntityStopped            the entity takes no more messages
├── KeyTaken                 a message of somebody else has this key
├── ToolError                a tool says what went wrong; the model sees the text
├── RunFailed                the model cannot be used; the run says why
├── RunAborted               the run was stopped by a signal
├── ForeignError             users' code raised what is no Exception, or what cannot be passed on
│   └── ForeignTimeout       users' code took too long
└── WorkerDied               a wake that takes its workers down is given up
"""

from __future__ import annotations

from shared_state.exceptions import DocumentedError


class EntitiesError(DocumentedError):
    """Something went wrong with an entity."""


class RegistryError(EntitiesError):
    """The definition of an entity type is wrong."""


class TypeAlreadyDefined(RegistryError):
    """There is a type with this name already, defined elsewhere."""


class UnknownType(RegistryError):
    """There is no such type: its app must be in INSTALLED_APPS, with the definition in agents.py."""


class InvalidInput(EntitiesError):
    """The input does not fit its schema."""


class EntityExists(EntitiesError):
    """There is an entity at this address already; choose another id."""


class EntityNotFound(EntitiesError):
    """There is no entity at this address."""


class EntityStopped(EntitiesError):
    """This entity was stopped and takes no more messages."""


class KeyTaken(EntitiesError):
    """Somebody else's message has this key; send it with another."""


class ToolError(EntitiesError):
    """The tool could not do it."""


class RunFailed(EntitiesError):
    """The model could not be used. The run says why; trying again would not help."""


class RunAborted(EntitiesError):
    """The run was stopped by a signal."""


class ForeignError(EntitiesError):
    """A tool or handler ended in a way that would have ended more than itself."""


class ForeignTimeout(ForeignError):
    """A tool or handler took too long and was given up."""


class WorkerDied(EntitiesError):
    """Its worker died again and again while running it."""
