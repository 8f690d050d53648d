"""The database is down when a new connection cannot be opened."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connections

from apps.common.health import Probe


def probes() -> Iterator[Probe]:
    """Yield a probe for each database."""
    for alias in connections:
        options = settings.DATABASES[alias]
        host = ":".join(str(options[key]) for key in ("HOST", "PORT") if options.get(key))
        yield Probe(
            name="database" if alias == "default" else f"database-{alias}",
            address=f"{host}/{options['NAME']}" if host else str(options["NAME"]),
            check=partial(check, alias),
            hint="Is it running, and is DATABASE_URL right?",
            secrets=(str(options.get("PASSWORD", "")),),
        )


def check(alias: str) -> None:
    """Open a connection, and close it."""
    connect(alias).close()


def connect(alias: str) -> Any:
    """Return a new connection of the driver that nothing else uses.

    Neither a pool nor a connection is left behind for another process to share.
    """
    wrapper = connections[alias].copy()
    wrapper.settings_dict.get("OPTIONS", {}).pop("pool", None)
    return wrapper.get_new_connection(wrapper.get_connection_params())
