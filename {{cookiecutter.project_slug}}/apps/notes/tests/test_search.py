"""Notes are found as Elasticsearch says, and kept without it."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from elasticsearch import ConnectionTimeout
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.common import search
from apps.notes.models import Note
from apps.notes.search import UnavailableError, find
from apps.users.models import User


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create(username="owner")


@pytest.fixture
def _down(settings: Settings) -> None:
    settings.ELASTICSEARCH_URL = "http://127.0.0.1:1"
    search.client.cache_clear()


def test_notes_come_in_the_order_of_elasticsearch(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Note.objects.create(owner=owner, title="A title") for _ in range(2))
    gone = second.pk + 1
    hits = [{"_id": str(key)} for key in (second.pk, gone, first.pk)]
    # Elasticsearch itself is too large to run beside these tests.
    answer: Any = SimpleNamespace(search=lambda **query: {"hits": {"hits": hits}})
    monkeypatch.setattr(search, "client", lambda: answer)

    assert find("title", owner.pk) == [second, first]


@pytest.mark.usefixtures("_down")
def test_a_note_is_kept_without_search(
    owner: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        note = Note.objects.create(owner=owner, title="A title")

    assert Note.objects.get() == note
    assert "run index_notes" in caplog.text


def test_the_index_is_not_made_without_an_address(settings: Settings) -> None:
    settings.ELASTICSEARCH_URL = ""
    search.client.cache_clear()

    with pytest.raises(CommandError, match="ELASTICSEARCH_URL is not set"):
        call_command("index_notes")


def test_many_changes_wait_once_for_search_that_is_silent(
    owner: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def index(**note: Any) -> None:
        asked.append(note["id"])
        raise ConnectionTimeout("no answer")

    silent: Any = SimpleNamespace(index=index)
    monkeypatch.setattr(search, "client", lambda: silent)
    monkeypatch.setattr("apps.notes.search._again", 0.0)
    monkeypatch.setattr("apps.notes.search.PAUSE", 60.0)

    with django_capture_on_commit_callbacks(execute=True):
        notes = [Note.objects.create(owner=owner, title="A title") for _ in range(3)]

    assert asked == [str(notes[0].pk)]


def test_search_learns_what_was_saved(
    owner: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, str]] = []
    known: Any = SimpleNamespace(
        index=lambda **note: told.append((note["id"], note["document"]["title"])),
        options=lambda **options: SimpleNamespace(
            delete=lambda **note: told.append((note["id"], ""))
        ),
    )
    monkeypatch.setattr(search, "client", lambda: known)
    monkeypatch.setattr("apps.notes.search._again", 0.0)

    with django_capture_on_commit_callbacks(execute=True):
        note = Note.objects.create(owner=owner, title="Saved")
        key = str(note.pk)
        note.title = "Never saved"
        note.delete()

    assert told == [(key, "Saved"), (key, "")]


@pytest.mark.usefixtures("_down")
def test_nothing_is_found_without_search(owner: User) -> None:
    with pytest.raises(UnavailableError):
        find("title", owner.pk)
