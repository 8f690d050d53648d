"""What is measured in a service with Django REST framework: calls that need no user."""

from django.contrib.auth import get_user_model
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Public(APIView):
    """A call that needs no user."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()


class Light(Public):
    """Returns the lightest answer there is."""

    def get(self, request: Request) -> Response:
        """Return it."""
        return Response({"message": "Hello"})


class Query(Public):
    """Returns what one query finds."""

    def get(self, request: Request) -> Response:
        """Return it."""
        user = get_user_model().objects.get(username="bench")
        return Response({"id": user.pk, "username": user.username})


urlpatterns = [path("api/v1/light", Light.as_view()), path("api/v1/query", Query.as_view())]
