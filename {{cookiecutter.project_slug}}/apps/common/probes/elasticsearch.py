"""Elasticsearch answers searches."""

from collections.abc import Iterator

from django.conf import settings
from elasticsearch import TransportError

from apps.common import search
from apps.common.health import Probe, mask


def probes() -> Iterator[Probe]:
    """Yield a probe if search is on."""
    if settings.ELASTICSEARCH_URL:
        yield Probe(
            name="elasticsearch",
            address=mask(settings.ELASTICSEARCH_URL),
            check=check,
            hint="Is it running, and are ELASTICSEARCH_URL and its credentials right?",
            secrets=(settings.ELASTICSEARCH_URL, settings.ELASTICSEARCH_API_KEY),
        )


def check() -> None:
    """Ask who it is, which also checks credentials and that it is Elasticsearch."""
    client = search.connect()
    try:
        client.options(request_timeout=1, max_retries=0).info()
    except TransportError as error:
        # Its text is only "Connection error" or "TLS error".
        raise ConnectionError(*error.args) from error
    finally:
        client.close()
