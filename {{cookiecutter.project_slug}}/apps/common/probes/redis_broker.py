"""The Redis that takes the tasks, which are lost without it."""

from collections.abc import Iterator

import redis
from django.conf import settings

from apps.common.health import Probe, mask


def probes() -> Iterator[Probe]:
    """Yield a probe if there is a broker."""
    if settings.CELERY_BROKER_URL:
        yield Probe(
            name="redis-broker",
            address=mask(settings.CELERY_BROKER_URL),
            check=check,
            hint="Is it running, and is CELERY_BROKER_URL right?",
            secrets=(settings.CELERY_BROKER_URL,),
        )


def check() -> None:
    """Ping the broker over a new connection."""
    with redis.Redis.from_url(
        settings.CELERY_BROKER_URL, socket_connect_timeout=1, socket_timeout=1
    ) as client:
        client.ping()
