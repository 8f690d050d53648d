"""Counts what the cache is asked for."""

from collections.abc import Iterable
from typing import Any

from django_redis.exceptions import ConnectionInterrupted
from prometheus_client import Counter
from redis import Redis

from apps.common import cache

REQUESTS = Counter(
    "cache_requests",
    "Keys that the cache was asked for: a hit, a miss, or an error as Redis is down.",
    ["result"],
)
HIT, MISS, ERROR = (REQUESTS.labels(result) for result in ("hit", "miss", "error"))
MISSING = object()


class Client(cache.Client):
    """The client of the cache, which counts hits and misses."""

    def get(
        self, key: str, default: Any = None, version: int | None = None, client: Redis | None = None
    ) -> Any:
        """Return a value and count whether it was there."""
        try:
            value = super().get(key, MISSING, version, client)
        except ConnectionInterrupted:
            ERROR.inc()
            raise
        (MISS if value is MISSING else HIT).inc()
        return default if value is MISSING else value

    def get_many(
        self, keys: Iterable[str], version: int | None = None, client: Redis | None = None
    ) -> dict[str, Any]:
        """Return values and count how many of them were there."""
        keys = list(keys)
        try:
            found: dict[str, Any] = super().get_many(keys, version, client)
        except ConnectionInterrupted:
            ERROR.inc(len(keys))
            raise
        HIT.inc(len(found))
        MISS.inc(len(keys) - len(found))
        return found
