"""``manage.py runserver`` starts without its dependencies, and says which are missing."""

from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as Runserver
from django.core import checks
from django.db import OperationalError

from apps.common import health
from config import process


class Command(Runserver):
    """Prints the table of dependencies that a server would stop with."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve while developing."""
        process.role = "server"
        super().handle(*args, **options)

    def check_migrations(self) -> None:
        """Print the table of dependencies, and the migrations that are missing."""
        self.stdout.write(health.run().table() + "\n")
        checks.register(health.heartbeat_check)
        try:
            super().check_migrations()
        except OperationalError:
            self.stdout.write(self.style.NOTICE("The database is down: migrations are unknown."))
