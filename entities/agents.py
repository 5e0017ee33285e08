"""The types of this app; found by autodiscovery, like any other app's `agents.py`."""

import entities.patterns.assistant.type
import entities.patterns.debate.offline
import entities.patterns.debate.type
import entities.patterns.worker.offline
import entities.patterns.worker.type  # noqa: F401  importing registers
