"""The HTTP API gives everybody their own notes, and says in one shape what is wrong."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
{% if cookiecutter.api == "drf" %}
from rest_framework.exceptions import PermissionDenied
from rest_framework.throttling import UserRateThrottle
{% else %}
from pytest_django import Settings
{% endif %}

from apps.notes.models import Note
from apps.users.models import User

NOTES = "/api/v1/notes"
PROBLEM = "application/problem+json"
BODY = {"title": "Mine", "text": ""}


@pytest.fixture(autouse=True)
def _nobody_called_before() -> None:
    cache.clear()


@pytest.fixture
def owner(client: Client, db: None) -> User:
    user = User.objects.create(username="owner")
    client.force_login(user)
    return user


@pytest.fixture
def foreign(db: None) -> Note:
    other = User.objects.create(username="other")
    return Note.objects.create(owner=other, title="Secret")


def post(client: Client, body: Any) -> Any:
    return client.post(NOTES, body, content_type="application/json")


def test_a_note_is_written_read_replaced_and_deleted(client: Client, owner: User) -> None:
    written = post(client, {"title": "One", "text": "two words"})
    address = f"{NOTES}/{written.json()['id']}"
    read = client.get(address)
    replaced = client.put(address, {"title": "Two"}, content_type="application/json")
    deleted = client.delete(address)

    assert written.status_code == 201
    assert read.json()["text"] == "two words"
    assert replaced.json()["title"] == "Two"
    assert deleted.status_code == 204
    assert not Note.objects.exists()


def test_notes_of_others_do_not_exist(client: Client, owner: User, foreign: Note) -> None:
    address = f"{NOTES}/{foreign.pk}"

    assert client.get(NOTES).json()["count"] == 0
    assert client.get(address).status_code == 404
    assert client.put(address, BODY, content_type="application/json").status_code == 404
    assert client.delete(address).status_code == 404
    foreign.refresh_from_db()
    assert foreign.title == "Secret"


def test_lists_come_in_pages(client: Client, owner: User) -> None:
    Note.objects.bulk_create(Note(owner=owner, title=f"Note {number}") for number in range(102))

    first = client.get(NOTES).json()
    second = client.get(NOTES, {"offset": 100, "limit": 1}).json()

    assert first["count"] == second["count"] == 102
{% if cookiecutter.api == "drf" %}
    assert len(first["results"]) == 100
    assert [note["title"] for note in second["results"]] == ["Note 1"]
{% else %}
    assert len(first["items"]) == 100
    assert [note["title"] for note in second["items"]] == ["Note 1"]
{% endif %}


def test_statistics_count_notes(client: Client, owner: User) -> None:
    Note.objects.create(owner=owner, title="One")

    assert client.get(f"{NOTES}/statistics").json()["notes"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"title": "x", "text": "x" * 10_001}, "text"),
    ],
)
def test_a_problem_names_the_field(client: Client, owner: User, body: Any, field: str) -> None:
    response = post(client, body)

    assert response.status_code in {400, 422}
    assert response["Content-Type"] == PROBLEM
    assert response.json()["errors"][0]["field"] == field


def test_what_is_no_json_is_a_problem(client: Client, owner: User) -> None:
    response = post(client, "{")

    assert response.status_code == 400
    assert response["Content-Type"] == PROBLEM


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_asked_for_a_token(client: Client, db: None, method: str) -> None:
    response = getattr(client, method)(NOTES)

    assert response.status_code == 401
    assert response["Content-Type"] == PROBLEM
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_session_needs_protection_from_forged_requests(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)

    assert post(client, {"title": "Forged"}).status_code == 403
    assert not Note.objects.exists()


@pytest.mark.parametrize("path", ["/api/v1/unknown", "/api/v2/notes", f"{NOTES}/0"])
def test_what_does_not_exist_is_a_problem(client: Client, owner: User, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == PROBLEM


def test_an_unexpected_error_is_a_problem(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.raise_request_exception = False
    monkeypatch.setattr("apps.notes.models.NoteQuerySet.statistics", lambda *args: 1 / 0)

    response = client.get(f"{NOTES}/statistics")

    assert response.status_code == 500
    assert response["Content-Type"] == PROBLEM


{% if cookiecutter.api == "drf" %}
@pytest.mark.parametrize(
    ("reason", "errors"),
    [
        ("too small", [{"field": "", "detail": "too small"}]),
        ({"plan": "too small"}, [{"field": "plan", "detail": "too small"}]),
    ],
)
def test_any_error_may_name_fields(
    client: Client,
    owner: User,
    monkeypatch: pytest.MonkeyPatch,
    reason: Any,
    errors: list[dict[str, str]],
) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionDenied(reason if isinstance(reason, dict) else [reason])

    monkeypatch.setattr("apps.notes.models.NoteQuerySet.statistics", refuse)

    response = client.get(f"{NOTES}/statistics")

    assert response.status_code == 403
    assert response.json()["errors"] == errors


def test_one_call_too_many_has_to_wait(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", {"user": "2/minute"})
{% else %}
def test_one_call_too_many_has_to_wait(
    client: Client, owner: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_CALLS_PER_MINUTE = 2
    # In the middle of a minute: with the next one the count begins anew.
    monkeypatch.setattr("apps.common.limits.time.time", lambda: 90.0)
{% endif %}

    responses = [client.get(NOTES) for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 200, 429]
    assert responses[2]["Content-Type"] == PROBLEM
    assert 0 < int(responses[2]["Retry-After"]) <= 60


@pytest.mark.parametrize("path", ["docs", "openapi.json"])
def test_documentation_is_public(client: Client, db: None, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 200
{% if cookiecutter.api == "ninja" %}


def test_a_browser_may_do_nothing_with_an_answer(client: Client, owner: User) -> None:
    responses = [client.get(NOTES), client.get(f"{NOTES}/0")]

    assert [response.status_code for response in responses] == [200, 404]
    for response in responses:
        assert response["Content-Security-Policy"].startswith("default-src 'none'")
{% endif %}
