"""Python's garbage collection in a process that serves: pauses as short as they can be."""

from __future__ import annotations

import gc

THRESHOLDS = (5000, 20, 50)
"""Collections of the youngest, middle and oldest generation."""


def freeze_startup_objects() -> None:
    """Take all that was loaded at start out of every later garbage collection.

    A full collection otherwise walks Django's whole object graph, 50 to 130 ms, in the middle of a request or
    of an agent's turn. To be called once, when a process has loaded what it needs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
