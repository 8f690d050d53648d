"""What REST framework answers when something goes wrong."""

from collections.abc import Iterator
from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.common import problems


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Return an error of the API as a problem, or nothing for one that was not expected."""
    response = exception_handler(exception, context)
    if response is None:
        return None
    response.content_type = problems.CONTENT_TYPE
    # Any exception of REST framework may hold more than one message.
    if isinstance(getattr(exception, "detail", ""), dict | list):
        response.data = problems.body(response.status_code, "", list(flatten(response.data)))
    else:
        response.data = problems.body(response.status_code, str(response.data["detail"]))
    return response


def flatten(errors: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield each message with the field that it is about."""
    if isinstance(errors, str):
        yield {"field": field, "detail": errors}
    elif isinstance(errors, list):
        for error in errors:
            yield from flatten(error, field)
    else:
        for name, error in errors.items():
            yield from flatten(error, f"{field}.{name}".strip("."))


def describe(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Add problems to the schema of the API."""
    return problems.describe(result)
