"""Live pages' frames, compressed (permessage-deflate, RFC 7692): each says again what the last one said.

A piece of a text is 18 characters, the frame around it 170. The compressor of a socket remembers the frames
before, so the next costs what is new: 60 KB of text in such pieces are 0.62 MB of frames, and 0.1 MB on the
wire, for 3 microseconds a frame. Browsers ask for it by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

WINDOW_BITS = 11
"""What a compressor remembers: 2 KB, some ten frames. Twice that saves a tenth, for twice the memory."""
MEMORY_LEVEL = 4
"""With that window 16 KB for each socket, where zlib's defaults take 256."""


class Accepting:
    """What the server answers to what a client offers. `max_bytes`: of a message, once it is unpacked."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes

    def __call__(self, offers: Sequence[Any]) -> Any:
        """How to compress, or `None` to send as it is. Called by Autobahn at the handshake."""
        for offer in offers:
            if isinstance(offer, PerMessageDeflateOffer):
                return PerMessageDeflateOfferAccept(  # type: ignore[no-untyped-call]
                    offer,
                    window_bits=min(WINDOW_BITS, offer.request_max_window_bits or WINDOW_BITS),
                    mem_level=MEMORY_LEVEL,
                    max_message_size=self.max_bytes,
                )
        return None
