"""What happens to a request before Django's own protections see it."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

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
from django.middleware.security import SecurityMiddleware
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject
from dockerflow.django.middleware import DockerflowMiddleware

from apps.common import health, outages
from config import logs

type GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
type View = Callable[[HttpRequest], HttpResponseBase]

REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")

summaries = logging.getLogger("request.summary")


class RequestMiddleware:
    """Gives each request an id that its lines and its response carry, and sums it up in a line.

    The id is that of X-Request-ID, if a proxy in TRUSTED_PROXIES sends one.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response: Any = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return what the rest of the chain returns, with the id."""
        if self.is_async:
            return self.respond(request)
        began = time.perf_counter()
        request_id = identify(request)
        response: HttpResponseBase = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        summarize(request, response.status_code, time.perf_counter() - began)
        return response

    async def respond(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same without blocking the event loop."""
        began = time.perf_counter()
        request_id = identify(request)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except asyncio.CancelledError:
            # The client did not wait; proxies know this status for it.
            summarize(request, 499, time.perf_counter() - began)
            raise
        response.headers["X-Request-ID"] = request_id
        summarize(request, response.status_code, time.perf_counter() - began)
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer a request that has failed for want of the database."""
        return outages.answer(request, exception) if outages.is_outage(exception) else None


def identify(request: HttpRequest) -> str:
    """Return the id of a request, which its lines carry from now on."""
    request_id: str = request.META.get("HTTP_X_REQUEST_ID", "")
    if not (REQUEST_ID.fullmatch(request_id) and is_trusted(request.META.get("REMOTE_ADDR", ""))):
        request_id = secrets.token_hex(16)
    logs.bind(request_id)
    return request_id


def summarize(request: HttpRequest, status: int, seconds: float) -> None:
    """Log a request, without its query string, which may hold secrets."""
    level = logging.ERROR if status >= 500 else logging.INFO
    if logs.is_quiet(request.path_info):
        level = logging.DEBUG
    if not summaries.isEnabledFor(level):
        return
    summary = {
{% if cookiecutter.logging == "structlog" %}
        "method": request.method,
        "path": request.path,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "user_id": user_id(request),
{% else %}
        "agent": request.META.get("HTTP_USER_AGENT", ""),
        "code": status,
        "errno": status if status >= 500 else 0,
        "lang": request.META.get("HTTP_ACCEPT_LANGUAGE", ""),
        "method": request.method,
        "path": request.path,
        "t": round(seconds * 1000),
        "uid": user_id(request) or "",
{% endif %}
    }
{% if cookiecutter.logging == "structlog" %}
    logs.print_summary(level, summary)
{% else %}
    summaries.log(level, "", extra=summary)
{% endif %}


def user_id(request: HttpRequest) -> Any:
    """Return the id of the user whom the request has asked for: to ask here takes a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        found = vars(request)
        user = found.get("_cached_user") or found.get("_acached_user")
    return getattr(user, "pk", None)


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
        view = find(request.path_info)
        if not view:
            return self.get_response(request)
        return asyncio.to_thread(view, request) if self.is_async else view(request)


def find(path: str) -> View | None:
    """Return what answers a health path of this service or of Dockerflow."""
    if path in logs.HEALTH_PATHS:
        return answer
    if path.startswith("/__error__") and not settings.DEBUG:
        return refuse
    if path.startswith("/__"):
        for pattern, view in DockerflowMiddleware.viewpatterns:
            if pattern.match(path):
                return view  # type: ignore[no-any-return]
    return None


def refuse(request: HttpRequest) -> HttpResponseBase:
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
    else:
        response = JsonResponse(body, status=status)
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Accept"
    return protected(request, response)


def protected(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:
    """Return an answer with the headers that Django's own middleware would give it."""
    return SecurityMiddleware(lambda _: response).process_response(request, response)


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
{% if cookiecutter.__asgi %}
            meta.pop("HTTP_X_FORWARDED_PROTO", None)
{% else %}
            claims = [meta.pop(f"HTTP_X_FORWARDED_{name}", None) for name in ("PROTO", "SSL")]
            if any(claims):
                # Some servers believe these by themselves, whoever sends them.
                meta["wsgi.url_scheme"] = "http"
{% endif %}
        elif forwarded:
            # Each proxy appends whom it heard from: the last one that is no proxy is the client.
            hops = [hop.strip() for hop in forwarded.split(",")]
            strangers = [hop for hop in hops if not is_trusted(hop)]
            meta["REMOTE_ADDR"] = strangers[-1] if strangers else hops[0]
        return self.get_response(request)


@lru_cache(maxsize=1024)
def is_trusted(address: str) -> bool:
    """Return whether an address is that of a trusted proxy; a local socket has none."""
    return not address or is_in(address, settings.TRUSTED_PROXIES)


def is_in(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether an address is in one of the networks; what proxies claim may be none."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
