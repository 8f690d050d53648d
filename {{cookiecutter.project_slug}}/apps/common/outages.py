"""What requests are answered while the database does not serve."""

from django.db import InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.log import log_response

{% if cookiecutter.api == "none" %}
from apps.common import pages
{% else %}
from apps.common import pages, problems
{% endif %}

# How the codes begin that PostgreSQL gives while it is down, full, read-only or about to end.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
CODES = ("08", "25006", "53", "57P")
HEADERS = {"Retry-After": "5"}


def is_outage(error: Exception) -> bool:
    """Return whether an error says that the database does not serve, rather than what is wrong."""
    if not isinstance(error, InternalError | OperationalError):
        return False
    # A connection that fails has no code; SQLite has none at all, and serves as long as its file.
    code = getattr(error.__cause__, "sqlstate", "")
    return code is None or code.startswith(CODES)


def answer(request: HttpRequest, error: Exception) -> HttpResponse:
    """Log an outage in one line, and return that it is worth trying again."""
    response = unavailable(request)
    reason = " ".join(str(error).split())
    log_response("The database does not serve: %s", reason, response=response, request=request)
    return response


def unavailable(request: HttpRequest) -> HttpResponse:
    """Return that the service is back soon: to programs as a problem, to people as a page."""
{% if cookiecutter.api != "none" %}
    if problems.is_call(request):
        return problems.response(503, "The database does not serve now.", headers=HEADERS)
{% endif %}
    return pages.page(request, 503, HEADERS)
