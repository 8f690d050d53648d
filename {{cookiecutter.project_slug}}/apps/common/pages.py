"""The page that people see when something is broken."""

from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.template.loader import render_to_string


def server_error(request: HttpRequest) -> HttpResponse:
    """Return a page that takes no query, no session and no static file."""
    page = render_to_string("500.html", {"csp_nonce": get_nonce(request)})
    return HttpResponse(page, status=500)
