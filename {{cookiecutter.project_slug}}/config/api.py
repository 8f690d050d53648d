"""The HTTP API: its schema is at /api/v1/openapi.json, its documentation at /api/v1/docs."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from apps.common import problems
from apps.common.limits import Throttle
from apps.notes.api import router as notes
from apps.users.api import Session, Token
from apps.users.api import router as users


class API(NinjaAPI):
    """An API whose schema says that errors are problems, and whose answers are no pages."""

    def create_temporal_response(self, request: HttpRequest) -> HttpResponse:
        """Return a response that endpoints may add to, with a policy that allows nothing."""
        response = super().create_temporal_response(request)
        response.headers["Content-Security-Policy"] = problems.POLICY
        return response

    def get_openapi_schema(self, **options: Any) -> Any:
        """Return the OpenAPI schema."""
        return problems.describe(super().get_openapi_schema(**options))


api = API(
    title=settings.SITE_NAME, version="1.0.0", auth=[Token(), Session()], throttle=[Throttle()]
)
api.add_router("/notes", notes)
api.add_router("/users", users)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    """Return that something does not exist."""
    return problems.response(404)


@api.exception_handler(HttpError)
def refuse(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Return what the API says by itself."""
    return problems.response(error.status_code, error.message)


@api.exception_handler(AuthenticationError)
def ask_for_a_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    """Return that this is only for those whom the API knows."""
    return problems.response(401, headers={"WWW-Authenticate": "Bearer"})


@api.exception_handler(Throttled)
def slow_down(request: HttpRequest, error: Throttled) -> HttpResponse:
    """Return when the next call is allowed."""
    return problems.response(429, headers={"Retry-After": str(error.wait)})


@api.exception_handler(ValidationError)
def explain(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Return which fields are wrong, by names without where they stand and who takes them."""
    errors = [
        {
            "field": ".".join(map(str, found["loc"][2:] or found["loc"][1:])),
            "detail": found["msg"],
        }
        for found in error.errors
    ]
    return problems.response(422, "", errors)
