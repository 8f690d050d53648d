"""An outage of the database is told from a mistake."""

import sqlite3

import psycopg
import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path as route
from psycopg import errors

from apps.common import outages


def fail(request: HttpRequest) -> HttpResponse:
    """Find no database."""
    raise OperationalError from psycopg.OperationalError("connection refused")


urlpatterns = [route("fail", fail)]


@pytest.mark.parametrize(
    ("kind", "cause", "outage"),
    [
        (OperationalError, psycopg.OperationalError("connection refused"), True),
        (OperationalError, errors.AdminShutdown(), True),
        (OperationalError, errors.DiskFull(), True),
        (OperationalError, errors.TooManyConnections(), True),
        (InternalError, errors.ReadOnlySqlTransaction(), True),
        (OperationalError, errors.DeadlockDetected(), False),
        (OperationalError, errors.QueryCanceled(), False),
        (OperationalError, sqlite3.OperationalError("no such table"), False),
        (ProgrammingError, errors.UndefinedTable(), False),
    ],
)
def test_only_what_may_pass_by_itself_is_an_outage(
    kind: type[Exception], cause: Exception, outage: bool
) -> None:
    error = kind()
    error.__cause__ = cause

    assert outages.is_outage(error) is outage


{% if cookiecutter.api == "none" %}
def test_an_outage_is_worth_another_try(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    response = outages.answer(rf.get("/"), OperationalError("connection\nrefused"))
{% else %}
@pytest.mark.parametrize("path", ["/", "/api/v1/users/me"])
def test_an_outage_is_worth_another_try(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    response = outages.answer(rf.get(path), OperationalError("connection\nrefused"))
{% endif %}

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert [record.getMessage() for record in caplog.records] == [
        "The database does not serve: connection refused"
    ]


@pytest.mark.urls(__name__)
def test_a_view_without_its_database_is_a_503(client: Client) -> None:
    response = client.get("/fail", headers={"x-forwarded-proto": "https"})

    assert response.status_code == 503
