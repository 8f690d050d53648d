"""Words are counted in the background, once a note is committed."""

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.notes.models import Note
from apps.notes.tasks import count_words
from apps.users.models import User


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create(username="owner")


def test_words_are_counted_after_the_commit(
    owner: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        note = Note.objects.create(owner=owner, title="A title", text="two words")

        assert note.words is None

    assert Note.objects.get(pk=note.pk).words == 2


def test_a_note_that_is_gone_is_no_failure(db: None) -> None:
{% if cookiecutter.__celery %}
    count_words(1)
{% else %}
    count_words.func(1)
{% endif %}

    assert not Note.objects.exists()
