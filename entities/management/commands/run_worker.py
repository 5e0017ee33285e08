"""`manage.py run_worker`: the background consumer as a process of its own; any number of them may run."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from entities.conf import conf
from entities.worker.worker import Worker
from shared_state.api import freeze_startup_objects

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Run agents until SIGTERM or SIGINT; then finish what runs, or hand it back."""

    help = (
        "Run agents' handlers. SIGTERM and Ctrl-C let them finish for the grace time, and hand back the rest."
    )

    requires_migrations_checks = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--concurrency", type=int, default=conf.worker_concurrency, help="agents to run at once"
        )
        parser.add_argument(
            "--grace", type=float, default=10.0, help="seconds that handlers may take to finish at a stop"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(work(options["concurrency"], options["grace"]))


async def work(concurrency: int, grace: float) -> None:
    """Run one worker until this process is asked to stop."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    worker = Worker(concurrency=concurrency)
    await worker.start()
    freeze_startup_objects()
    logger.info("worker_started", worker=worker.name, concurrency=concurrency)
    await asked.wait()
    logger.info("worker_stopping", worker=worker.name, grace=grace)
    await worker.stop(grace=grace)
    logger.info("worker_stopped", worker=worker.name)
