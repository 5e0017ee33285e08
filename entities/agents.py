"""The types of this app; found by autodiscovery, like any other app's `agents.py`."""

from entities.handlers import assistant, debate, offline_scripts, worker

__all__ = ["assistant", "debate", "offline_scripts", "worker"]
