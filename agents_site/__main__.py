"""Django's command line for this project: `manage.py` in a checkout, `agents-site` where it is installed."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agents_site.settings")
    # Settings are read before a command runs, so the one command that means "local mode" is recognised here.
    # The value holds for this very process: what it starts inherits the variable, but not the mode.
    if sys.argv[1:2] == ["quickstart"] and "--no-local" not in sys.argv:
        os.environ["AGENTS_LOCAL"] = str(os.getpid())
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
