"""What is measured where no framework for APIs is installed: the bare project, and api=none."""

from django.contrib.auth import get_user_model
from django.http import HttpRequest, JsonResponse
from django.urls import path


def light(request: HttpRequest) -> JsonResponse:
    """Return the lightest answer there is."""
    return JsonResponse({"message": "Hello"})


def query(request: HttpRequest) -> JsonResponse:
    """Return what one query finds."""
    user = get_user_model().objects.get(username="bench")
    return JsonResponse({"id": user.pk, "username": user.username})


urlpatterns = [path("api/v1/light", light), path("api/v1/query", query)]
