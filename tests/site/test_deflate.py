"""What the server answers to a client that offers to take compressed frames."""

import pytest
from autobahn.websocket.compress import PerMessageDeflate, PerMessageDeflateOffer

from agents_site.deflate import WINDOW_BITS, Accepting


@pytest.mark.parametrize(("asked", "taken"), [(0, WINDOW_BITS), (15, WINDOW_BITS), (9, 9)])
def test_the_window_is_small_and_no_larger_than_asked_for(asked: int, taken: int) -> None:
    offer = PerMessageDeflateOffer(request_max_window_bits=asked)  # type: ignore[no-untyped-call]
    accepted = Accepting(1_000)([offer])
    compressor = PerMessageDeflate.create_from_offer_accept(True, accepted)  # type: ignore[no-untyped-call]

    assert (compressor.server_max_window_bits, compressor.max_message_size) == (taken, 1_000)


def test_who_offers_nothing_that_is_known_gets_frames_as_they_are() -> None:
    assert Accepting(1_000)([]) is None
    assert Accepting(1_000)([object()]) is None
