"""Makes sure, before the first request or task, that every dependency is there."""

import logging
import pkgutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from apps.common import health
from apps.common.health import Probe
from apps.common.probes import database
from config import process

logger = logging.getLogger(__name__)


def check() -> None:
    """Wait for the required dependencies; end the process if one of them stays away.

    STARTUP_CHECKS and STARTUP_TIMEOUT decide how strictly and how long.
    """
{% if cookiecutter.server == "daphne" %}
    if settings.STARTUP_CHECKS == "off":
{% else %}
    if process.checked or settings.STARTUP_CHECKS == "off":
{% endif %}
        return
    strict = settings.STARTUP_CHECKS == "strict"
    left = process.started + settings.STARTUP_TIMEOUT - time.monotonic() if strict else 0
    applied: set[tuple[str, str]] = set()
    with process.stoppable():
        report = wait(left, partial(probes, applied))
    if report.status == "error" and strict:
        process.stop(
            f"{settings.SITE_NAME} cannot start without its dependencies.\n\n{report.table()}"
        )
    health.keep(report)
    for result in report.failures:
        probe = result.probe
        logger.warning(
            "Starting without %s at %s: %s %s", probe.name, probe.address, result.error, probe.hint
        )
    if report.status != "error" and not applied.issuperset(migrations()):
        warn_of_unapplied_migrations()


def wait(seconds: float, find: Callable[[], Iterable[Probe]] = health.find) -> health.Report:
    """Return a report once no required dependency is down, or when time is up."""
    deadline = time.monotonic() + seconds
    report = health.run(find())
    if report.status == "error" and seconds > 0:
        names = ", ".join(r.probe.name for r in report.failures if r.probe.required)
        logger.warning("Waiting up to %.0f s for %s", seconds, names)
    while report.status == "error" and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(1, left))
        left = deadline - time.monotonic()
        report = health.run(find(), deadline=max(0.5, min(left, health.DEADLINE)))
    return report


def probes(applied: set[tuple[str, str]]) -> Iterator[Probe]:
    """Yield every probe; that of the database also finds the migrations that are applied.

    Another connection for these would make the start longer.
    """
    for probe in health.find():
        reads = probe.name == "database"
        yield replace(probe, check=partial(read_migrations, applied)) if reads else probe


def read_migrations(applied: set[tuple[str, str]]) -> None:
    """Open a connection and add the applied migrations, unless there never were any."""
    errors = connections[DEFAULT_DB_ALIAS].wrap_database_errors
    with closing(database.connect(DEFAULT_DB_ALIAS)) as connection, suppress(DatabaseError), errors:
        applied.update(connection.execute("SELECT app, name FROM django_migrations"))


def warn_of_unapplied_migrations() -> None:
    """Log how many migrations are missing; the service runs without its schema."""
    connection = connections[DEFAULT_DB_ALIAS].copy(alias="startup")
    connection.settings_dict.get("OPTIONS", {}).pop("pool", None)
    # Django reads the applied migrations by the alias of the connection that it was given.
    connections["startup"] = connection
    with warnings.catch_warnings():
        # Django warns of queries during initialization; this connection is nobody else's.
        warnings.filterwarnings("ignore", "Accessing the database during app initialization")
        try:
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            logger.warning("Whether migrations are missing is unknown: %s", error)
            return
        finally:
            connection.close()
            del connections["startup"]
    if plan:
        logger.warning("%d migrations are not applied: run manage.py migrate", len(plan))


def migrations() -> Iterator[tuple[str, str]]:
    """Yield the app and the name of each migration, without loading any: that takes longer."""
    for app in apps.get_app_configs():
        module, _ = MigrationLoader.migrations_module(app.label)
        package = find_spec(module) if module else None
        folders = package.submodule_search_locations if package else None
        yield from ((app.label, found.name) for found in pkgutil.iter_modules(folders or ()))
