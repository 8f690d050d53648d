"""A Redis cache whose absence costs one time-out, not one for each call."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

# How often to look whether Redis is back, in seconds.
INTERVAL = 1.0

logger = logging.getLogger(__name__)


class CircuitBreaker(Retry):
    """Fails every call at once from the first failure until Redis answers again.

    redis-py hands each command to a Retry object. All connections share this one, and a
    thread in the background looks for Redis, so that no request has to.
    """

    def __init__(self, url: str) -> None:
        super().__init__(NoBackoff(), 0)
        self._url = url
        self._open = False
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> "CircuitBreaker":
        return self

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **options: Any) -> Any:
        """Call Redis, unless it failed to answer a moment ago."""
        if self._open:
            raise ConnectionInterrupted(None) from RedisError("Redis did not answer before.")
        try:
            return super().call_with_retry(do, *args, **options)
        except self._supported_errors as error:
            self._trip(error)
            raise

    def _trip(self, error: Exception) -> None:
        with self._lock:
            if self._open:
                return
            self._open = True
        logger.warning("The cache is off, since Redis does not answer: %s", error)
        threading.Thread(target=self._await_redis, name="await-redis", daemon=True).start()

    def _await_redis(self) -> None:
        while self._open:
            time.sleep(INTERVAL)
            try:
                with Redis.from_url(
                    self._url, socket_connect_timeout=INTERVAL, socket_timeout=INTERVAL
                ) as client:
                    client.ping()
            except RedisError:
                continue
            self._open = False
            logger.info("The cache is on again, since Redis answers")


@functools.cache
def circuit_breaker(url: str) -> CircuitBreaker:
    """Return the breaker of this process for a Redis."""
    return CircuitBreaker(url)


def interruptible[**P, T](method: Callable[P, T]) -> Callable[P, T]:
    """Turn an error of Redis into the one that django-redis ignores."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **options: P.kwargs) -> T:
        try:
            return method(*args, **options)
        except RedisError as error:
            raise ConnectionInterrupted(None) from error

    return wrapper


class Client(DefaultClient):
    """django-redis' client with a circuit breaker, for the calls that it leaves unguarded too."""

    def __init__(self, server: str, params: dict[str, Any], backend: Any) -> None:
        pool = params["OPTIONS"].setdefault("CONNECTION_POOL_KWARGS", {})
        pool["retry"] = circuit_breaker(server)
        super().__init__(server, params, backend)

    touch = interruptible(DefaultClient.touch)
    ttl = interruptible(DefaultClient.ttl)
    pttl = interruptible(DefaultClient.pttl)
    persist = interruptible(DefaultClient.persist)
    expire = interruptible(DefaultClient.expire)
    pexpire = interruptible(DefaultClient.pexpire)
    expire_at = interruptible(DefaultClient.expire_at)
    pexpire_at = interruptible(DefaultClient.pexpire_at)
