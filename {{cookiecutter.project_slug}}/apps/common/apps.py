"""The app that every service shares: health, start-up and middleware."""

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished
{% if cookiecutter.use_prometheus %}
from django.db.backends.signals import connection_created
{% endif %}

from config import logs, process


class CommonConfig(AppConfig):
    """Checks every dependency when the process is a server."""

    name = "apps.common"

    def ready(self) -> None:
        """Register the heartbeat's check, and check once before the first request."""
        from apps.common import health, startup
{% if cookiecutter.use_prometheus %}
        from apps.common.metrics import time_queries
{% endif %}
{% if cookiecutter.task_queue == "database" %}
        from apps.common.task_ids import follow_tasks
{% endif %}

        request_finished.connect(logs.unbind)
{% if cookiecutter.use_prometheus %}
        connection_created.connect(time_queries)
{% endif %}
{% if cookiecutter.task_queue == "database" %}
        follow_tasks()
{% endif %}

        if process.role == "server":
            checks.register(health.heartbeat_check)
            startup.check()
