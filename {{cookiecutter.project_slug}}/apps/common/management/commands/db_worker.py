"""``manage.py db_worker`` runs tasks, once every dependency is there."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
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
        with present(options["worker_id"]), connection.execute_wrapper(touch):
            super().handle(*args, **options)


@contextmanager
def present(worker: str) -> Iterator[None]:
    """Hold a lock in PostgreSQL that ends with this worker, however it ends.

    The lock is that of a transaction, which a pooler understands, too.
    """
    if connection.vendor != "postgresql":
        yield
        return
    guard = connection.copy()
    try:
        guard.set_autocommit(False)
        with guard.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LOCK, worker])
        for task in DBTaskResult.objects.running():
            if not is_present(task.worker_ids[-1]):
                take_over(task)
        yield
    finally:
        guard.close()


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


def touch(execute: Callable[..., Any], *query: Any) -> Any:
    """Show that this worker is alive, as it looks for tasks every second."""
    process.show_life()
    return execute(*query)
