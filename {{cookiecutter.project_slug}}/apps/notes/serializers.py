"""Notes as the HTTP API shows them."""

from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.notes.models import Note


# PostgreSQL stores no NUL in a text.
@extend_schema_field({"type": "string", "pattern": r"^[^\x00]+$"})
class Text(serializers.CharField):
    """A text as it was sent, and nothing that could be made one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> Any:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class NoteSerializer(serializers.ModelSerializer[Note]):
    """A note, and how many words it has."""

    serializer_field_mapping = {  # noqa: RUF012
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
    }

    class Meta:
        """Names the fields."""

        model = Note
        fields = ("id", "title", "text", "words", "created_at", "updated_at")


class StatisticsSerializer(serializers.Serializer[object]):
    """How much a user has written."""

    notes = serializers.IntegerField(min_value=0)
    words = serializers.IntegerField(min_value=0)
{% if cookiecutter.use_elasticsearch %}


class SearchSerializer(serializers.Serializer[object]):
    """What to search for."""

    q = serializers.CharField(max_length=200)
{% endif %}
