"""Tasks carry the id of the request that queued them, which their lines show."""

from typing import Any

from django.db.models.signals import pre_save
from django.tasks import TaskResultStatus
from django.tasks.signals import task_finished
from django_tasks_db.backend import TaskResult
from django_tasks_db.models import DBTaskResult

from config import logs


def follow_tasks() -> None:
    """Pass ids on from now on."""
    pre_save.connect(carry, sender=DBTaskResult)
    task_finished.connect(forget)


def carry(instance: DBTaskResult[..., Any], **options: Any) -> None:
    """Keep the request's id beside the arguments of a new task, and bind it when that starts.

    The worker saves that it starts a task before it logs the first line about it.
    """
    if instance._state.adding:
        instance.args_kwargs["request_id"] = logs.request_id()
    elif instance.status == TaskResultStatus.RUNNING:
        logs.bind(instance.args_kwargs.get("request_id") or str(instance.pk))


def forget(task_result: Any, **options: Any) -> None:
    """Forget the id after a task of a worker."""
    if isinstance(task_result, TaskResult):
        logs.unbind()
