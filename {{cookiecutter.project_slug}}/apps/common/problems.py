"""Errors of the HTTP API, in the shape that RFC 9457 gives them.

https://www.rfc-editor.org/rfc/rfc9457
"""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from apps.common import pages

CONTENT_TYPE = "application/problem+json"
# An answer is no page: if a browser shows it nevertheless, it may neither load nor do anything.
POLICY = "default-src 'none'; frame-ancestors 'none'"
SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def body(status: int, detail: str = "", errors: list[dict[str, str]] | None = None) -> Any:
    """Return a problem, with a list of the fields that are wrong if there are any."""
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return problem | ({"detail": detail} if detail else {}) | ({"errors": errors} if errors else {})


def response(*problem: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return a problem as a response."""
    content = body(*problem)
    return JsonResponse(
        content,
        status=content["status"],
        content_type=CONTENT_TYPE,
        headers={"Content-Security-Policy": POLICY} | (headers or {}),
    )


def describe(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI schema in which every operation may answer with a problem."""
    schema["components"].setdefault("schemas", {})["Problem"] = SCHEMA
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for methods in schema["paths"].values():
        for operation in methods.values():
            operation["responses"]["default"] = {
                "description": "A problem",
                "content": {CONTENT_TYPE: problem},
            }
    return schema


def is_call(request: HttpRequest) -> bool:
    """Return whether a program asks, to whom a page would say nothing."""
    return request.path_info.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return that a request is malformed: to programs as a problem, to people as a page."""
    if is_call(request):
        return response(400)
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return that there is nothing here: to programs as a problem, to people as a page."""
    if is_call(request):
        return response(404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return that something is broken: to programs as a problem, to people as a page."""
    if is_call(request):
        return response(500)
    return pages.server_error(request)
