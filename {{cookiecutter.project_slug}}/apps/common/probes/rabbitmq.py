"""RabbitMQ takes the tasks, which are lost without it."""

from collections.abc import Iterator

from django.conf import settings
from kombu.connection import Connection

from apps.common.health import Probe, mask


def probes() -> Iterator[Probe]:
    """Yield a probe if there is a broker."""
    if settings.CELERY_BROKER_URL:
        yield Probe(
            name="rabbitmq",
            address=mask(settings.CELERY_BROKER_URL),
            check=check,
            hint="Is it running, and is CELERY_BROKER_URL right?",
            secrets=(settings.CELERY_BROKER_URL,),
        )


def check() -> None:
    """Open a connection to the broker, with one attempt."""
    ssl = settings.CELERY_BROKER_USE_SSL
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=1, ssl=ssl) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
