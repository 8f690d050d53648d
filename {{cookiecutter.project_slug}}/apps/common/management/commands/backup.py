"""``manage.py backup`` backs up the database, once or again and again."""

import logging
import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from apps.common import backups

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Ends with status 1 and an error in the log if there is no backup."""

    help = "Back up the database; exit with 1 if that fails."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add how often to do it, or how old the newest backup may be."""
        parser.add_argument(
            "--every", type=float, metavar="HOURS", help="go on, with so much time in between"
        )
        parser.add_argument(
            "--check", type=float, metavar="HOURS", help="only fail if the newest one is older"
        )

    def handle(self, *args: Any, every: float | None, check: float | None, **options: Any) -> None:
        """Back up until told to stop, or once."""
        if check:
            self.check_age(timedelta(hours=check))
            return
        while True:
            try:
                if every:
                    # PostgreSQL may be restarted until then.
                    connection.close()
                    time.sleep(left(timedelta(hours=every)))
                backups.create()
            except Exception:
                logger.exception("The backup failed; %s", backups.room())
                raise SystemExit(1) from None
            if not every:
                return

    def check_age(self, limit: timedelta) -> None:
        """Fail if the newest backup is too old."""
        try:
            age = backups.age()
        except backups.BackupError as error:
            raise CommandError(str(error)) from None
        if age > limit:
            raise CommandError(f"The newest backup is {age.total_seconds() / 3600:.1f} hours old.")


def left(pause: timedelta) -> float:
    """Return the seconds until the next backup is due."""
    try:
        return max(0.0, (pause - backups.age()).total_seconds())
    except backups.BackupError:
        return 0.0
