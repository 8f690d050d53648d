"""Notes are found as Elasticsearch says, and kept without it."""

from types import SimpleNamespace
from typing import Any

import pytest
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


@pytest.mark.usefixtures("_down")
def test_nothing_is_found_without_search(owner: User) -> None:
    with pytest.raises(UnavailableError):
        find("title", owner.pk)
