"""``manage.py restore`` restores a backup into an empty database, and verifies it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from apps.common import backups


class Command(BaseCommand):
    """Ends with status 1 unless the database then has as many rows as the backup."""

    help = "Restore a backup into an empty database, and compare the rows of each table."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which backup, and into which database."""
        parser.add_argument("--name", help="a backup other than the newest")
        parser.add_argument(
            "--into",
            metavar="DATABASE",
            help="create this database on the same server, instead of using that of DATABASE_URL",
        )

    def handle(self, *args: Any, name: str | None, into: str | None, **options: Any) -> None:
        """Restore, and print what is there."""
        try:
            name = name or backups.newest()
            if into:
                backups.use_new_database(into)
            rows = backups.restore(name)
        except backups.BackupError as error:
            raise CommandError(str(error)) from None
        for table, number in rows.items():
            self.stdout.write(f"{number:10}  {table}")
        self.stdout.write(f"Restored {name} into {connection.settings_dict['NAME']}: all is there.")
