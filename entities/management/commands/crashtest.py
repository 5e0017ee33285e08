"""`manage.py crashtest`: kill a process at every commit; nothing may be lost or doubled."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

SHOWN = 5
"""How many differences of one boundary are printed."""


class Command(BaseCommand):
    """Print the boundaries tried and the divergences; the status is 1 if there is any."""

    help = (
        "Do something with offline agents, kill it (SIGKILL) before and after every commit, let another "
        "process go on, and compare what is left with an undisturbed run."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--scenario",
            choices=("debate", "joined", "pruning", "staging", "stopping"),
            default="debate",
            help="what is done: a debate, callers' transactions, pruning, a tool that stages much, a signal",
        )
        parser.add_argument("--rounds", type=int, default=1, choices=range(1, 5), help="of it (1)")
        parser.add_argument("--every", type=_positive, default=1, help="try one boundary in so many (1)")
        parser.add_argument("--jobs", type=_positive, default=2, help="how many at once (2)")

    def handle(self, *args: Any, **options: Any) -> None:
        from entities.testing.fault_injection import Verdict, crashtest

        def say(verdict: Verdict) -> None:
            if verdict.differences:
                self.stdout.write(self.style.ERROR(f"boundary {verdict.boundary}:"))
                for difference in verdict.differences[:SHOWN]:
                    self.stdout.write(f"  {difference[:500]}")

        began = time.monotonic()
        report = crashtest(
            options["scenario"],
            rounds=options["rounds"],
            every=options["every"],
            jobs=options["jobs"],
            say=say,
        )
        self.stdout.write(
            f"{report.boundaries} boundaries (before and after commits), "
            f"{report.tried} tried, {len(report.divergences)} divergences, "
            f"{time.monotonic() - began:.0f} s"
        )
        if report.divergences or not report.tried:
            raise CommandError("A run that was killed did not come out like one that was not.")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
