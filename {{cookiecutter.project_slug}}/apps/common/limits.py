"""How much of the HTTP API a user may have at once."""

import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from ninja import Field, Schema
from ninja.pagination import LimitOffsetPagination
from ninja.throttling import BaseThrottle


class Throttle(BaseThrottle):
    """Allows each user, or each address without one, so many calls a minute.

    While the cache is off, all are allowed. Ninja's own throttles keep what belongs to one
    request in an object that all threads share.
    """

    def allow_request(self, request: HttpRequest) -> bool:
        """Count a call, and return whether it is not one too many."""
        caller = request.user.pk or request.META["REMOTE_ADDR"]
        key = f"throttle-{caller}-{int(time.time() // 60)}"
        try:
            calls = cache.incr(key)
        except ValueError:
            calls = 1
            cache.add(key, calls, 60)
        return not calls or calls <= settings.API_CALLS_PER_MINUTE

    def wait(self) -> int:
        """Return how long to wait, in seconds."""
        return 60 - int(time.time() % 60)


class Pagination(LimitOffsetPagination):
    """Gives out lists in pages of at most a hundred."""

    class Input(Schema):
        """Which page."""

        limit: int = Field(100, ge=1, le=100)
        offset: int = Field(0, ge=0, le=2**31 - 1)
