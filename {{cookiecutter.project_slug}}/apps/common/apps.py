"""The app that every service shares: health, start-up and middleware."""

from django.apps import AppConfig
from django.core import checks

from config import process


class CommonConfig(AppConfig):
    """Checks every dependency when the process is a server."""

    name = "apps.common"

    def ready(self) -> None:
        """Register the heartbeat's check, and check once before the first request."""
        from apps.common import health, startup

        if process.role == "server":
            checks.register(health.heartbeat_check)
            startup.check()
