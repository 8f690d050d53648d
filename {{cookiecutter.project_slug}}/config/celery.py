"""The Celery application: ``celery --app config worker`` runs it."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init

from config import process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("{{ cookiecutter.project_slug }}")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_logging(**options: Any) -> None:
    """Leave logging as settings.LOGGING has it, by answering Celery's signal."""


@worker_init.connect
@beat_init.connect
def check_dependencies(**options: Any) -> None:
    """Check every dependency before the first task."""
    from apps.common import startup

    process.role = "worker"
    startup.check()
