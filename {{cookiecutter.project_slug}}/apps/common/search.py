"""The way to Elasticsearch."""

from functools import cache
from typing import Any

from django.conf import settings
from elasticsearch import Elasticsearch


def connect() -> Elasticsearch:
    """Return a new client that gives up after two seconds and does not try again.

    Raise ValueError if it has no address, as may be while developing.
    """
    if not settings.ELASTICSEARCH_URL:
        raise ValueError("ELASTICSEARCH_URL is not set")
    options: dict[str, Any] = {}
    if settings.ELASTICSEARCH_CA_CERTS:
        options["ca_certs"] = settings.ELASTICSEARCH_CA_CERTS
    return Elasticsearch(
        settings.ELASTICSEARCH_URL,
        api_key=settings.ELASTICSEARCH_API_KEY or None,
        request_timeout=2,
        max_retries=0,
        retry_on_timeout=False,
        **options,
    )


@cache
def client() -> Elasticsearch:
    """Return the client of this process, which keeps its connections for the next search."""
    return connect()
