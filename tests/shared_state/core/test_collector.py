"""Garbage collection in a process that serves."""

import gc

from shared_state.core.collector import THRESHOLDS, freeze_startup_objects


def test_what_was_loaded_at_start_is_collected_no_more() -> None:
    before = gc.get_threshold()
    try:
        freeze_startup_objects()

        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
