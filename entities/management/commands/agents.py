"""`manage.py agents …`: what keeps an installation sound over years."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """`doctor` looks whether all is well; `prune` removes at once what a worker would in time."""

    help = "Look after agents and their logs: doctor, prune."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
        tasks.add_parser(
            "doctor", help="say what is wrong and how to mend it; the status is 1 if anything is"
        )
        tasks.add_parser("prune", help="remove what has served its time, as a worker does now and then")

    def handle(self, *args: Any, **options: Any) -> None:
        tasks: dict[str, Callable[..., None]] = {"doctor": self._doctor, "prune": self._prune}
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
