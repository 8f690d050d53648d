"""``manage.py check_dependencies`` asks every dependency how it is."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.common import startup


class Command(BaseCommand):
    """Prints a line for each dependency and exits with 1 if a required one is down."""

    help = "Ask every dependency how it is; exit with 1 if a required one is down."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add how long to wait, or that the start's own settings decide."""
        parser.add_argument(
            "--wait",
            type=float,
            default=0,
            metavar="SECONDS",
            help="how long to wait for the required ones",
        )
        parser.add_argument(
            "--startup",
            action="store_true",
            help="do what a server does before it starts, by STARTUP_CHECKS and STARTUP_TIMEOUT",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the table."""
        if options["startup"]:
            startup.check()
            return
        report = startup.wait(options["wait"])
        self.stdout.write(report.table())
        if report.status == "error":
            raise SystemExit(1)
