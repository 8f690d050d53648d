"""What happens to a request before Django's own protections see it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import ip_address

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
    JsonResponse,
)
from django.template.loader import render_to_string

from apps.common import health

type GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

HEALTH_PATHS = {"/health", "/health/", "/common/health", "/common/health/"}


class HealthMiddleware:
    """Answers the health paths before anything can redirect or refuse them.

    Load balancers and kubelets call by address and over plain HTTP, so that neither the
    host check nor the redirect to HTTPS may come first.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the health of this service, or what the rest of the chain returns."""
        if request.path_info in HEALTH_PATHS:
            return self.answer_later(request) if self.is_async else answer(request)
        if request.path_info.startswith("/__error__") and not settings.DEBUG:
            return self.refuse_later() if self.is_async else HttpResponseNotFound()
        return self.get_response(request)

    async def answer_later(self, request: HttpRequest) -> HttpResponseBase:
        """Return the health of this service without blocking the event loop."""
        return await asyncio.to_thread(answer, request)

    async def refuse_later(self) -> HttpResponseBase:
        """Return that Dockerflow's page for testing errors is not public."""
        return HttpResponseNotFound()


def answer(request: HttpRequest) -> HttpResponseBase:
    """Return the state of every dependency, as JSON or to a browser as a page."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    report = health.current()
    status = 503 if report.status == "error" else 200
    body = {
        "status": report.status,
        "dependencies": {
            result.probe.name: {
                "status": "error" if result.error else "ok",
                "required": result.probe.required,
                "duration_ms": round(result.seconds * 1000, 1),
            }
            for result in report.results
        },
    }
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        nonce = secrets.token_urlsafe(16)
        context = {**body, "nonce": nonce, "site_name": settings.SITE_NAME}
        response = HttpResponse(render_to_string("common/health.html", context), status=status)
        response["Content-Security-Policy"] = (
            f"default-src 'none'; img-src data:; style-src 'nonce-{nonce}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        response["X-Frame-Options"] = "DENY"
        response["Referrer-Policy"] = "same-origin"
    else:
        response = JsonResponse(body, status=status)
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Accept"
    response["X-Content-Type-Options"] = "nosniff"
    return response


class TrustedProxyMiddleware:
    """Believes X-Forwarded-For and X-Forwarded-Proto from proxies in TRUSTED_PROXIES only."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Set the client's address, or drop what an untrusted client claims."""
        meta = request.META
        forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
        if not is_trusted(meta.get("REMOTE_ADDR", "")):
            meta.pop("HTTP_X_FORWARDED_FOR", None)
            claims = [meta.pop(f"HTTP_X_FORWARDED_{name}", None) for name in ("PROTO", "SSL")]
            if any(claims):
                # Some servers believe these by themselves, whoever sends them.
                meta["wsgi.url_scheme"] = "http"
        elif forwarded:
            # Each proxy appends whom it heard from: the last one that is no proxy is the client.
            hops = [hop.strip() for hop in forwarded.split(",")]
            strangers = [hop for hop in hops if not is_trusted(hop)]
            meta["REMOTE_ADDR"] = strangers[-1] if strangers else hops[0]
        return self.get_response(request)


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Return whether an address is that of a trusted proxy; a local socket has none."""
    if not address:
        return True
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in settings.TRUSTED_PROXIES)
