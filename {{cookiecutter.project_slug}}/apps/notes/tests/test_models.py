"""Notes belong to a user, and know how many words they have."""

import pytest

from apps.notes.models import Note
from apps.users.models import User


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create(username="owner")


def test_a_note_counts_its_words(owner: User) -> None:
    note = Note.objects.create(owner=owner, title="A title", text="three  short\nwords")

    note.count_words()

    assert Note.objects.get(pk=note.pk).words == 3


def test_words_of_a_text_that_was_replaced_are_not_stored(owner: User) -> None:
    note = Note.objects.create(owner=owner, title="A title", text="one two three")
    Note.objects.filter(pk=note.pk).update(text="four", words=1)

    note.count_words()

    assert Note.objects.get(pk=note.pk).words == 1


def test_statistics_are_those_of_one_user(owner: User) -> None:
    other = User.objects.create(username="other")
    Note.objects.bulk_create(
        Note(owner=user, title="A title", words=words)
        for user, words in ((owner, 2), (owner, 3), (owner, None), (other, 7))
    )

    assert Note.objects.statistics(owner.pk) == {"notes": 3, "words": 5}


def test_statistics_are_cached(owner: User) -> None:
    before = Note.objects.statistics(owner.pk)

    Note.objects.create(owner=owner, title="A title")

    assert Note.objects.statistics(owner.pk) == before


def test_notes_go_with_their_owner(owner: User) -> None:
    Note.objects.create(owner=owner, title="A title")

    owner.delete()

    assert not Note.objects.exists()
