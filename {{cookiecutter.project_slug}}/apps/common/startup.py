"""Makes sure, before the first request or task, that every dependency is there."""

import logging
import time
import warnings

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from apps.common import health
from config import process

logger = logging.getLogger(__name__)


def check() -> None:
    """Wait for the required dependencies; end the process if one of them stays away.

    STARTUP_CHECKS and STARTUP_TIMEOUT decide how strictly and how long.
    """
    if settings.STARTUP_CHECKS == "off":
        return
    report = wait(settings.STARTUP_TIMEOUT if settings.STARTUP_CHECKS == "strict" else 0)
    if report.status == "error" and settings.STARTUP_CHECKS == "strict":
        process.stop(
            f"{settings.SITE_NAME} cannot start without its dependencies.\n\n{report.table()}"
        )
    for result in report.failures:
        probe = result.probe
        logger.warning(
            "Starting without %s at %s: %s %s", probe.name, probe.address, result.error, probe.hint
        )
    if report.status != "error":
        warn_of_unapplied_migrations()


def wait(seconds: float) -> health.Report:
    """Return a report once no required dependency is down, or when time is up."""
    deadline = time.monotonic() + seconds
    report = health.run()
    if report.status == "error" and seconds:
        names = ", ".join(r.probe.name for r in report.failures if r.probe.required)
        logger.warning("Waiting up to %g s for %s", seconds, names)
    while report.status == "error" and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(1, left))
        report = health.run()
    return report


def warn_of_unapplied_migrations() -> None:
    """Log how many migrations are missing; the service runs without its schema."""
    connection = connections[DEFAULT_DB_ALIAS].copy()
    connection.settings_dict.get("OPTIONS", {}).pop("pool", None)
    with warnings.catch_warnings():
        # Django warns of queries during initialization; this connection is nobody else's.
        warnings.filterwarnings("ignore", "Accessing the database during app initialization")
        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        finally:
            connection.close()
    if plan:
        logger.warning("%d migrations are not applied: run manage.py migrate", len(plan))
