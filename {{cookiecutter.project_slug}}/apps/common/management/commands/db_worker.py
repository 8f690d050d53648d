"""``manage.py db_worker`` runs tasks, once every dependency is there."""

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from django.db import OperationalError, connection
from django.tasks import TaskResultStatus
from django_tasks_db.management.commands.db_worker import Command as Worker
from django_tasks_db.models import DBTaskResult

from apps.common import startup
from config import process

# Any number will do, as long as all workers have the same one.
LOCK = 0x7461736B
# How many workers may be killed while they run a task.
ATTEMPTS = 3

logger = logging.getLogger(__name__)


class Command(Worker):
    """Checks every dependency before the first task, and takes over what killed workers left."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run tasks until told to stop."""
        process.become_worker()
        startup.check()
        presence = Presence(options["worker_id"])
        with closing(presence.connection), connection.execute_wrapper(presence.show):
            presence.hold()
            for task in DBTaskResult.objects.running():
                if not is_present(task.worker_ids[-1]):
                    take_over(task)
            super().handle(*args, **options)


class Presence:
    """A lock in PostgreSQL that ends with the worker that holds it, however it ends.

    The lock is that of a transaction, which a pooler understands, too.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.connection = connection.copy()
        self.shown = 0.0

    def hold(self) -> None:
        """Take the lock, if it is not held or was lost with its connection."""
        if connection.vendor != "postgresql" or self.connection.is_usable():
            return
        self.connection.close()
        self.connection.set_autocommit(False)
        with self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, self.worker])

    def show(self, execute: Callable[..., Any], *query: Any) -> Any:
        """Show that this worker is alive, as it looks for tasks every second."""
        if time.monotonic() - self.shown > 1:
            self.shown = time.monotonic()
            process.show_life()
            with suppress(OperationalError):
                self.hold()
        return execute(*query)


def is_present(worker: str) -> bool:
    """Return whether a worker still holds its lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK, worker])
        return not cursor.fetchone()[0]


def take_over(task: DBTaskResult[..., Any]) -> None:
    """Queue a task again whose worker was killed, unless that happened too often."""
    if len(task.worker_ids) < ATTEMPTS:
        logger.warning("Task %s is queued again, since its worker was killed", task.pk)
        DBTaskResult.objects.filter(
            pk=task.pk, status=TaskResultStatus.RUNNING, started_at=task.started_at
        ).update(status=TaskResultStatus.READY)
    else:
        logger.error("Task %s has failed: %s workers were killed with it", task.pk, ATTEMPTS)
        task.set_failed(RuntimeError(f"{ATTEMPTS} workers were killed while they ran it."))
