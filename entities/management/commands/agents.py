"""`manage.py agents …`: what keeps an installation sound over years."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """`doctor` looks whether all is well; `prune` removes at once what a worker would in time.

    `archive` writes the old part of a log to a file, and drops it.
    """

    help = "Look after agents and their logs: doctor, prune, archive."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
        tasks.add_parser(
            "doctor", help="say what is wrong and how to mend it; the status is 1 if anything is"
        )
        tasks.add_parser("prune", help="remove what has served its time, as a worker does now and then")

        archive = tasks.add_parser("archive", help="write the old part of a log to a file, then drop it")
        archive.add_argument("stream", help="its path: /assistant/notes, shared:debate-1, presence:user:ada")
        archive.add_argument("--to", type=Path, required=True, help="the file: lines of JSON")
        archive.add_argument("--keep", type=_count, default=1000, help="how many events stay (1000)")
        archive.add_argument("--before", help="instead of --keep: the opaque offset of the first that stays")

    def handle(self, *args: Any, **options: Any) -> None:
        tasks: dict[str, Callable[..., None]] = {
            "doctor": self._doctor,
            "prune": self._prune,
            "archive": self._archive,
        }
        tasks[options["task"]](**options)

    def _doctor(self, **options: Any) -> None:
        from entities.upkeep import doctor

        count = 0
        for finding in doctor.examine():
            count += 1
            self.stdout.write(self.style.ERROR(f"{finding.where}: {finding.what}"))
            self.stdout.write(f"    {finding.mend}")
        if count:
            raise CommandError(f"{count} things are wrong.")
        self.stdout.write("All is well.")

    def _prune(self, **options: Any) -> None:
        from entities.upkeep.pruner import Pruner

        pruner, steps = Pruner("manage.py agents prune"), 0
        while pruner.step():
            steps += 1
        pruner.let_go()
        self.stdout.write(f"Pruned in {steps} small transactions.")

    def _archive(self, **options: Any) -> None:
        from entities.upkeep.archive import archiving
        from shared_state.api import SharedStateError, parse_offset

        dropped = 0
        try:
            before = parse_offset(options["before"]) if options["before"] else None
            steps = archiving(options["stream"], options["to"], keep=options["keep"], before=before)
            for done in steps:
                if isinstance(done, int):
                    dropped += done
                    continue
                what = f"{done.events} events from {done.begins} up to {done.until}, and {done.rows} rows"
                self.stdout.write(f"{options['to']}: {what}.")
        except (SharedStateError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Dropped {dropped} events.")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
