"""Other APIs that this service calls, asked for their own health."""

import http.client
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from apps.common.health import Probe, mask


def probes() -> Iterator[Probe]:
    """Yield a probe for each API named in EXTERNAL_SERVICES."""
    for service in settings.EXTERNAL_SERVICES:
        yield Probe(
            name=service.name,
            address=mask(service.url),
            check=partial(check, service.url),
            required=service.required,
            hint="Ask who runs it. Is EXTERNAL_SERVICES right?",
            secrets=(service.url,),
        )


def check(address: str) -> None:
    """Raise unless a health endpoint answers with a status below 400."""
    url = urlsplit(address)
    https = url.scheme == "https"
    connection = (http.client.HTTPSConnection if https else http.client.HTTPConnection)(
        url.hostname or "", url.port, timeout=1.5
    )
    try:
        connection.request("GET", url._replace(scheme="", netloc="", path=url.path or "/").geturl())
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 400:
        raise ConnectionError(f"answers with status {status}")
