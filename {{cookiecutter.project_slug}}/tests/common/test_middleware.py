"""Health paths answer everybody; all other paths keep their protection."""

{% if cookiecutter.logging == "mozlog" %}
import json
{% endif %}
import logging
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from apps.common import health
from apps.common.health import Probe, Report, Result
from apps.common.middleware import TrustedProxyMiddleware, is_trusted
from apps.users.models import User


@pytest.fixture(autouse=True)
def _production(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Make one dependency fail: required or optional, as the test asks."""
    probe = Probe("one", "10.0.0.1", lambda: None, required=request.param)
    result = Result(probe, 0.0012, "connection refused.")
    monkeypatch.setattr(health, "current", lambda: Report((result,)))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/health/", "/common/health", "/common/health/"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_health_answers_any_host_over_plain_http(client: Client, path: str, method: str) -> None:
    response = getattr(client, method)(path, headers={"host": "10.1.2.3"})

    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("report", "status"), [(True, 503), (False, 200)], indirect=["report"])
def test_health_tells_state_but_neither_address_nor_reason(
    client: Client, report: None, status: int
) -> None:
    response = client.get("/health")

    assert response.status_code == status
    assert response.json()["dependencies"]["one"]["status"] == "error"
    assert response.json()["dependencies"]["one"]["duration_ms"] == 1.2
    assert "10.0.0.1" not in response.text
    assert "refused" not in response.text


@pytest.mark.parametrize("report", [False], indirect=True)
def test_health_is_a_page_in_a_browser(client: Client, report: None) -> None:
    response = client.get("/health", headers={"accept": "text/html,*/*;q=0.8"})

    assert response["Content-Type"].startswith("text/html")
    assert "degraded" in response.text
    assert "nonce" in response["Content-Security-Policy"]


def test_health_only_answers_questions(client: Client) -> None:
    assert client.post("/health").status_code == 405


def test_other_hosts_are_refused_elsewhere(client: Client) -> None:
    assert client.get("/", headers={"host": "10.1.2.3"}).status_code == 400


def test_plain_http_is_redirected_elsewhere(client: Client) -> None:
    response = client.get("/", headers={"host": "example.com"})

    assert response.status_code == 301
    assert response["Location"] == "https://example.com/"


def test_errors_cannot_be_provoked(client: Client) -> None:
    assert client.get("/__error__").status_code == 404


def test_a_proxy_is_believed(client: Client) -> None:
    headers = {"host": "example.com", "x-forwarded-proto": "https"}

    response = client.get("/", headers=headers, REMOTE_ADDR="10.0.0.9")

    assert response["Location"] != "https://example.com/"


def test_a_stranger_is_not_believed(client: Client) -> None:
    headers = {"host": "example.com", "x-forwarded-proto": "https"}

    response = client.get("/", headers=headers, REMOTE_ADDR="203.0.113.9")

    assert response["Location"] == "https://example.com/"


@pytest.mark.parametrize(
    ("forwarded", "client_address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        # A client may have written the first ones itself.
        ("10.0.0.5, 198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.7, 203.0.113.9, 10.0.0.5", "203.0.113.9"),
        ("10.0.0.5, 10.0.0.6", "10.0.0.5"),
    ],
)
def test_the_client_is_whom_the_last_proxy_has_seen(
    rf: RequestFactory, forwarded: str, client_address: str
) -> None:
    request = rf.get("/", headers={"x-forwarded-for": forwarded}, REMOTE_ADDR="10.0.0.9")

    TrustedProxyMiddleware(lambda _: HttpResponse())(request)

    assert request.META["REMOTE_ADDR"] == client_address


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("127.0.0.1", True), ("fc00::1", True), ("", True), ("203.0.113.9", False), ("x", False)],
)
def test_proxies_are_those_in_private_networks(address: str, trusted: bool) -> None:
    assert is_trusted(address) is trusted


@pytest.mark.parametrize(
    ("address", "claimed", "believed"),
    [
        ("10.0.0.9", "8d0a-one.two_3", True),
        ("10.0.0.9", "not well-formed", False),
        ("10.0.0.9", "a" * 129, False),
        ("203.0.113.9", "8d0a-one.two_3", False),
    ],
)
def test_only_a_proxy_names_a_request(
    client: Client, address: str, claimed: str, believed: bool
) -> None:
    response = client.get("/", headers={"x-request-id": claimed}, REMOTE_ADDR=address)

    assert (response["X-Request-ID"] == claimed) is believed
    assert len(response["X-Request-ID"]) > 10


@pytest.fixture
{% if cookiecutter.logging == "structlog" %}
def summaries(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[], list[str]]:
    """Return a function that returns the lines of requests."""
    caplog.set_level(logging.DEBUG, "request.summary")
    return lambda: [
        line for line in capsys.readouterr().out.splitlines() if '"request.summary"' in line
    ]
{% else %}
def summaries(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the records of requests."""
    caplog.set_level(logging.DEBUG, "request.summary")
    return lambda: [
        json.dumps(vars(record), default=str).lower()
        for record in caplog.records
        if record.name == "request.summary"
    ]
{% endif %}


@pytest.mark.django_db
def test_a_request_is_summed_up_in_one_line(
    client: Client, admin_user: User, summaries: Callable[[], list[str]]
) -> None:
    client.force_login(admin_user)

    client.get("/admin/nowhere?token=hidden", headers={"host": "example.com"}, secure=True)

    (line,) = summaries()
    assert '"info"' in line
    assert '"/admin/nowhere"' in line
    assert "404" in line
    assert f'id": {admin_user.pk}' in line
    assert "hidden" not in line


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/__lbheartbeat__"])
def test_health_calls_are_worth_a_line_only_when_debugging(
    client: Client, summaries: Callable[[], list[str]], path: str
) -> None:
    client.get(path)

    (line,) = summaries()
    assert '"debug"' in line
