"""The app that every service shares: health, start-up and middleware."""

from django.apps import AppConfig
from django.core import checks
{% if cookiecutter.use_prometheus %}
from django.db.backends.signals import connection_created
{% endif %}

from config import process


class CommonConfig(AppConfig):
    """Checks every dependency when the process is a server."""

    name = "apps.common"

    def ready(self) -> None:
        """Register the heartbeat's check, and check once before the first request."""
        from apps.common import health, startup
{% if cookiecutter.use_prometheus %}
        from apps.common.metrics import time_queries

        connection_created.connect(time_queries)
{% endif %}

        if process.role == "server":
            checks.register(health.heartbeat_check)
            startup.check()
