"""What errors of both apps say where nobody gave them a message."""

import pytest

from entities.exceptions import EntitiesError, EntityStopped
from shared_state.exceptions import SharedStateError, StreamClosed, VersionConflict


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StreamClosed(), "This stream is closed and takes no more events."),
        (StreamClosed("Closed by Ada."), "Closed by Ada."),
        (VersionConflict(version=2), "The row changed since it was read; `current` is what it is now."),
        (EntityStopped(), "This entity was stopped and takes no more messages."),
        (EntityStopped("It was stopped by Ada."), "It was stopped by Ada."),
    ],
)
def test_an_error_without_a_message_says_what_its_class_is(error: Exception, text: str) -> None:
    assert str(error) == text


def test_the_two_trees_are_apart() -> None:
    """Who catches what went wrong with a stream does not catch what went wrong with an agent."""
    assert not issubclass(EntitiesError, SharedStateError)
    assert not issubclass(SharedStateError, EntitiesError)
