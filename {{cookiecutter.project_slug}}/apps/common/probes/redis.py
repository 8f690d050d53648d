"""Redis is a cache only, so that the service runs without it."""

from collections.abc import Iterator

import redis
from django.conf import settings

from apps.common.health import Probe, mask


def probes() -> Iterator[Probe]:
    """Yield a probe if the cache is Redis."""
    if settings.REDIS_URL:
        yield Probe(
            name="redis",
            address=mask(settings.REDIS_URL),
            check=check,
            required=False,
            hint="Answers are slower until it is back. Is REDIS_URL right?",
            secrets=(settings.REDIS_URL,),
        )


def check() -> None:
    """Ping Redis over a new connection."""
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1
    ) as client:
        client.ping()
