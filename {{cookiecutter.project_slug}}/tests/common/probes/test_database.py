"""The database is asked over a connection of its own."""

import pytest

from apps.common import health
from apps.common.probes import database


@pytest.mark.django_db
def test_the_database_passes() -> None:
    (probe,) = database.probes()

    report = health.run([probe])

    assert probe.name == "database"
    assert report.status == "ok"
