"""``manage.py db_worker`` runs tasks, once every dependency is there."""

from typing import Any

from django_tasks_db.management.commands.db_worker import Command as Worker

from apps.common import startup
from config import process


class Command(Worker):
    """Checks every dependency before the first task."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run tasks until told to stop."""
        process.role = "worker"
        startup.check()
        super().handle(*args, **options)
