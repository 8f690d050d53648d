"""A Redis cache whose absence costs one time-out, not one for each call."""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis.lock
from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.retry import Retry

# How often to look whether Redis is back, in seconds.
INTERVAL = 1.0
# How often to say that Redis refuses commands, in seconds.
REMINDER = 60.0

logger = logging.getLogger(__name__)


class CircuitBreaker(Retry):
    """Fails every call at once from the first failure until Redis answers again.

    redis-py hands each command to the Retry object of its connection. All connections of a
    process share this one, and a thread looks for Redis, so that no request has to. What
    is raised is the one exception that django-redis ignores, whichever method was called.
    """

    def __init__(self, url: str) -> None:
        super().__init__(NoBackoff(), 0)
        self._url = url
        self._open = False
        self._complained = -REMINDER
        self._lock = threading.Lock()
        # The thread that closes an open breaker does not exist in a forked process.
        os.register_at_fork(after_in_child=self._start_afresh)

    def __deepcopy__(self, memo: object) -> "CircuitBreaker":
        return self

    def call_with_retry(self, *args: Any, **options: Any) -> Any:
        """Connect or send a command, unless Redis failed to answer a moment ago."""
        if self._open:
            raise ConnectionInterrupted(None) from RedisError("Redis did not answer before.")
        try:
            return super().call_with_retry(*args, **options)
        except self._supported_errors as error:
            self._trip(error)
            raise ConnectionInterrupted(None) from error
        except (NoPermissionError, OutOfMemoryError, ReadOnlyError) as error:
            self._complain(error)
            raise

    def _complain(self, error: Exception) -> None:
        with self._lock:
            if time.monotonic() - self._complained < REMINDER:
                return
            self._complained = time.monotonic()
        logger.warning("Redis refuses what the cache asks of it: %s", error)

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
            except (RedisError, OSError):
                continue
            self._open = False
            logger.info("The cache is on again, since Redis answers")

    def _start_afresh(self) -> None:
        self._open = False
        self._lock = threading.Lock()


@functools.cache
def circuit_breaker(url: str) -> CircuitBreaker:
    """Return the breaker of this process for a Redis."""
    return CircuitBreaker(url)


class Lock(redis.lock.Lock):
    """A lock that nobody gets while Redis is down.

    Then ``acquire`` returns False at once and ``with`` raises LockError, as for a lock that
    someone else holds. Give it a timeout: one that cannot be released ends by that.
    """

    def acquire(self, *args: Any, **options: Any) -> bool:
        """Return whether the lock is held now."""
        try:
            return bool(super().acquire(*args, **options))
        except ConnectionInterrupted:
            return False

    def do_release(self, expected_token: str) -> None:
        """Release the lock, or leave that to its timeout."""
        try:
            super().do_release(expected_token)
        except ConnectionInterrupted:
            logger.warning("A lock could not be released: %r", self.name)


def until_interrupted[**P, T](method: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """End an iteration when Redis goes down: it fails only after django-redis looked."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **options: P.kwargs) -> Iterator[T]:
        try:
            yield from method(*args, **options)
        except ConnectionInterrupted:
            return

    return wrapper


class Client(DefaultClient):
    """django-redis' client with a circuit breaker."""

    iter_keys = until_interrupted(DefaultClient.iter_keys)
    sscan_iter = until_interrupted(DefaultClient.sscan_iter)

    def __init__(self, server: str, params: dict[str, Any], backend: Any) -> None:
        pool = params["OPTIONS"].setdefault("CONNECTION_POOL_KWARGS", {})
        pool["retry"] = circuit_breaker(server)
        super().__init__(server, params, backend)

    def lock(
        self, key: str, version: int | None = None, timeout: float | None = None, **options: Any
    ) -> Lock:
        """Return a lock that all processes share."""
        client = self.get_client(write=True)
        return Lock(client, self.make_key(key, version=version), timeout=timeout, **options)
