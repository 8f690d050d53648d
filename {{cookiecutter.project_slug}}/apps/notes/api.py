"""Notes in the HTTP API: everybody sees their own."""

from typing import Annotated

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
{% if cookiecutter.use_elasticsearch %}
from ninja import Field, ModelSchema, Query, Router, Status
{% else %}
from ninja import Field, ModelSchema, Router, Status
{% endif %}
{% if cookiecutter.use_elasticsearch %}
from ninja.errors import HttpError
{% endif %}
from ninja.pagination import paginate
from pydantic import BaseModel

from apps.common.limits import Pagination
{% if cookiecutter.use_elasticsearch %}
from apps.notes import search
{% endif %}
from apps.notes.models import Note, Statistics
from apps.users.api import identify

# PostgreSQL stores no NUL in a text.
NO_NUL = r"^[^\x00]*$"

router = Router(tags=["notes"])


class NoteIn(BaseModel):
    """What a user writes down; a Schema would take any object that has a title for one."""

    title: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
    text: Annotated[str, Field(max_length=10_000, pattern=NO_NUL)] = ""


class NoteOut(ModelSchema):
    """A note, and how many words it has."""

    class Meta:
        """Names the fields."""

        model = Note
        fields = ("id", "title", "text", "words", "created_at", "updated_at")


def own(request: HttpRequest) -> QuerySet[Note]:
    """Return the notes of the user who asks."""
    return Note.objects.filter(owner=identify(request))


@router.get("", response=list[NoteOut], summary="List notes, the newest first")
@paginate(Pagination)
def list_notes(request: HttpRequest) -> QuerySet[Note]:
    """Return the notes of the user who asks."""
    return own(request)


@router.post("", response={201: NoteOut}, summary="Write a note")
def create_note(request: HttpRequest, note: NoteIn) -> Status[Note]:
    """Save a new note."""
    return Status(201, Note.objects.create(owner=identify(request), **note.model_dump()))


@router.get("/statistics", response=Statistics, summary="Count notes and words")
def statistics(request: HttpRequest) -> Statistics:
    """Return how much the user has written, as it was at most ten seconds ago."""
    return Note.objects.statistics(identify(request).pk)
{% if cookiecutter.use_elasticsearch %}


@router.get("/search", response=list[NoteOut], summary="Search notes, the best match first")
def search_notes(
    request: HttpRequest, q: Annotated[str, Query(min_length=1, max_length=200)]
) -> list[Note]:
    """Return the notes that match best."""
    try:
        return search.find(q, identify(request).pk)
    except search.UnavailableError:
        raise HttpError(503, "Search is not available now.") from None
{% endif %}


@router.get("/{int:pk}", response=NoteOut, summary="Read a note")
def read_note(request: HttpRequest, pk: int) -> Note:
    """Return a note."""
    return get_object_or_404(own(request), pk=pk)


@router.put("/{int:pk}", response=NoteOut, summary="Replace a note")
def replace_note(request: HttpRequest, pk: int, note: NoteIn) -> Note:
    """Save the new content of a note."""
    found = get_object_or_404(own(request), pk=pk)
    found.title, found.text = note.title, note.text
    found.save()
    return found


@router.delete("/{int:pk}", response={204: None}, summary="Delete a note")
def delete_note(request: HttpRequest, pk: int) -> Status[None]:
    """Delete a note."""
    get_object_or_404(own(request), pk=pk).delete()
    return Status(204, None)
