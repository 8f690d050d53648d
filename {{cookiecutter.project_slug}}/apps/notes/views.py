"""Notes in the HTTP API: everybody sees their own."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
{% if cookiecutter.use_elasticsearch %}
from rest_framework.exceptions import APIException
{% endif %}
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

{% if cookiecutter.use_elasticsearch %}
from apps.notes import search
{% endif %}
from apps.notes.models import Note
{% if cookiecutter.use_elasticsearch %}
from apps.notes.serializers import NoteSerializer, SearchSerializer, StatisticsSerializer
{% else %}
from apps.notes.serializers import NoteSerializer, StatisticsSerializer
{% endif %}
from apps.users.authentication import identify
{% if cookiecutter.use_elasticsearch %}


class SearchUnavailable(APIException):
    """Search does not answer."""

    status_code = 503
    default_detail = "Search is not available now."
{% endif %}


class NoteViewSet(ModelViewSet[Note]):
    """The notes of the user who asks."""

    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[Note]:
        """Return the notes of the user who asks."""
        return Note.objects.filter(owner=identify(self.request))

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        """Save a new note of the user who asks."""
        serializer.save(owner=identify(self.request))

    @extend_schema(responses=StatisticsSerializer)
    @action(detail=False, pagination_class=None)
    def statistics(self, request: Request) -> Response:
        """Return how much the user has written, as it was at most ten seconds ago."""
        return Response(Note.objects.statistics(identify(self.request).pk))
{% if cookiecutter.use_elasticsearch %}

    @extend_schema(parameters=[SearchSerializer], responses=NoteSerializer(many=True))
    @action(detail=False, pagination_class=None)
    def search(self, request: Request) -> Response:
        """Return the notes that match best."""
        asked = SearchSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        try:
            found = search.find(asked.validated_data["q"], identify(self.request).pk)
        except search.UnavailableError:
            raise SearchUnavailable from None
        return Response(self.get_serializer(found, many=True).data)
{% endif %}
