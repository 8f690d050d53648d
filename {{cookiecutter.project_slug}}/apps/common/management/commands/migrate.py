"""``manage.py migrate`` is safe when several replicas run it at once."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.conf import settings
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

logger = logging.getLogger(__name__)
# Any number will do, as long as every replica asks for the same one.
LOCK = 0x6D696772617465


class Command(Migrate):
    """Lets one migration run at a time, and none block the service for long."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, once whoever else does has finished; --check waits only if something is missing."""
        alias = options["database"]
        complete = options["check_unapplied"] and not is_missing(alias)
        with nullcontext() if complete else exclusively(alias):
            super().handle(*args, **options)


def is_missing(alias: str) -> bool:
    """Return whether a migration is not applied."""
    executor = MigrationExecutor(connections[alias])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def exclusively(alias: str) -> Iterator[None]:
    """Hold a lock in PostgreSQL, and bound how long statements wait for other locks.

    The lock is that of a transaction, which a pooler understands, too. Asking again and
    again holds no snapshot, which building an index concurrently would wait for.
    """
    if connections[alias].vendor != "postgresql":
        yield
        return
    guard = connections[alias].copy()
    said = False
    try:
        guard.set_autocommit(False)
        while not locked(guard):
            if not said:
                logger.info("Another migration runs: waiting for its end")
            said = True
            guard.rollback()
            time.sleep(0.5)
        if not settings.DATABASE_POOLER:
            with connections[alias].cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('lock_timeout', %s, false)",
                    [str(settings.MIGRATION_LOCK_TIMEOUT)],
                )
        yield
    finally:
        guard.close()


def locked(guard: Any) -> bool:
    """Return whether the lock was free and is held now, until the transaction ends."""
    with guard.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # PostgreSQL, or a pooler before it, gives the lock back soon after this machine is lost.
        for name, value in ("idle", 10), ("interval", 5), ("count", 4):
            cursor.execute(f"SET LOCAL tcp_keepalives_{name} = {value}")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
