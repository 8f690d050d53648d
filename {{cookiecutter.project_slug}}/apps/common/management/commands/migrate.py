"""``manage.py migrate`` is safe when several replicas run it at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections

# Any number will do, as long as every replica asks for the same one.
LOCK = 0x6D696772617465


class Command(Migrate):
    """Lets one migration run at a time, and none block the service for long."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, once whoever else does has finished."""
        with exclusively(options["database"]):
            super().handle(*args, **options)


@contextmanager
def exclusively(alias: str) -> Iterator[None]:
    """Hold a lock in PostgreSQL, and bound how long statements wait for other locks."""
    if connections[alias].vendor != "postgresql":
        yield
        return
    guard = connections[alias].copy()
    try:
        with guard.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false)",
                [str(settings.MIGRATION_LOCK_TIMEOUT)],
            )
        yield
    finally:
        guard.close()
