"""Finds notes with Elasticsearch; without it notes are kept, but not found."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from elasticsearch import ApiError, TransportError
from elasticsearch.helpers import bulk

from apps.common import search
from apps.notes.models import Note

INDEX = "{{ cookiecutter.__kebab | lower }}-notes"
MAPPINGS = {
    "dynamic": "strict",
    "properties": {
        "owner": {"type": "long"},
        "title": {"type": "text"},
        "text": {"type": "text"},
    },
}
# What the client raises when Elasticsearch does not answer, refuses, or has no address.
FAILURES = (ApiError, TransportError, ValueError)
# How many notes a search returns.
LIMIT = 50
# How long Elasticsearch is told of no change once it has not answered, in seconds: to remove
# a hundred notes takes one time-out, not a hundred.
PAUSE = 1.0

logger = logging.getLogger(__name__)


class UnavailableError(Exception):
    """Elasticsearch does not answer as it should."""


def find(words: str, owner: int) -> list[Note]:
    """Return the notes of a user that match best; raise UnavailableError without search."""
    text = {"multi_match": {"query": words, "fields": ["title^2", "text"]}}
    query = {"bool": {"must": text, "filter": {"term": {"owner": owner}}}}
    try:
        found = search.client().search(
            index=INDEX, ignore_unavailable=True, query=query, size=LIMIT, source=False
        )
    except FAILURES as error:
        logger.warning("Notes cannot be searched: %s", error)
        raise UnavailableError from error
    keys = [int(hit["_id"]) for hit in found["hits"]["hits"]]
    notes = Note.objects.filter(owner=owner).in_bulk(keys)
    return [notes[key] for key in keys if key in notes]


def rebuild() -> int:
    """Make the index anew from all notes, and return their number."""
    client = search.client().options(request_timeout=60)
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    client.indices.create(index=INDEX, mappings=MAPPINGS)
    done, _ = bulk(client, _actions(), refresh=True)
    return done


def _actions() -> Iterator[dict[str, Any]]:
    for note in Note.objects.iterator():
        yield {"_index": INDEX, "_id": str(note.pk), "_source": _document(note)}


def _document(note: Note) -> dict[str, Any]:
    return {"owner": note.owner_id, "title": note.title, "text": note.text}


@receiver(post_save, sender=Note)
def index_later(instance: Note, **options: Any) -> None:
    """Put a note into the index once it is committed."""
    transaction.on_commit(partial(_index, str(instance.pk), _document(instance)))


@receiver(post_delete, sender=Note)
def forget_later(instance: Note, **options: Any) -> None:
    """Take a note out of the index once its removal is committed."""
    transaction.on_commit(partial(_forget, str(instance.pk)))


def _index(key: str, document: dict[str, Any]) -> None:
    _try(key, lambda: search.client().index(index=INDEX, id=key, document=document))


def _forget(key: str) -> None:
    _try(key, lambda: search.client().options(ignore_status=404).delete(index=INDEX, id=key))


# When Elasticsearch may be told of changes again, after it has not answered.
_again = 0.0


def _try(key: str, call: Callable[[], Any]) -> None:
    global _again
    try:
        if time.monotonic() < _again:
            raise TransportError("no answer just now")
        call()
    except FAILURES as error:
        if isinstance(error, TransportError) and time.monotonic() >= _again:
            _again = time.monotonic() + PAUSE
        logger.warning(
            "Search does not know what became of note %s (%s): run index_notes", key, error
        )
