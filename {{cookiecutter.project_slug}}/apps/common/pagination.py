"""How much of the HTTP API a user may have at once."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request

# How many entries a page has at most.
LIMIT = 100


class PageSerializer(serializers.Serializer[object]):
    """Which page."""

    limit = serializers.IntegerField(min_value=1, max_value=LIMIT, required=False)
    offset = serializers.IntegerField(min_value=0, required=False)


class Pagination(LimitOffsetPagination):
    """Gives out lists in pages, and refuses what is no page."""

    default_limit = LIMIT

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> Any:
        """Return a page."""
        PageSerializer(data=request.query_params).is_valid(raise_exception=True)
        return super().paginate_queryset(queryset, request, view)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters with their bounds."""
        limit, offset = super().get_schema_operation_parameters(view)
        limit["schema"] |= {"minimum": 1, "maximum": LIMIT}
        offset["schema"] |= {"minimum": 0}
        return [limit, offset]
