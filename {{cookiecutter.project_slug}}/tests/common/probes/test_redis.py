"""Redis is a cache, which may be away."""

import pytest
from pytest_django import Settings

from apps.common import health
from apps.common.probes import redis


@pytest.fixture(autouse=True)
def _nobody_listens(settings: Settings) -> None:
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:1/0"


def test_a_cache_that_is_down_degrades() -> None:
    report = health.run(redis.probes())

    assert report.status == "degraded"
    assert "hunter2" not in report.table()
