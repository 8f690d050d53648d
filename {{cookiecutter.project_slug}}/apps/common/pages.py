"""The pages that people see when something is broken: they take no query and no static file."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.template.loader import render_to_string


def page(
    request: HttpRequest, status: int, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the page for a status, with a style that the policy allows."""
    content = render_to_string(f"{status}.html", {"csp_nonce": get_nonce(request)})
    return HttpResponse(content, status=status, headers=headers)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the page for an error."""
    return page(request, 500)
