"""What is measured in a service with Django Ninja: calls that need no user."""

from config.api import api
from django.contrib.auth import get_user_model
from django.http import HttpRequest


@api.get("/light", auth=None, throttle=[])
def light(request: HttpRequest) -> dict[str, str]:
    """Return the lightest answer there is."""
    return {"message": "Hello"}


@api.get("/query", auth=None, throttle=[])
def query(request: HttpRequest) -> dict[str, int | str]:
    """Return what one query finds."""
    user = get_user_model().objects.get(username="bench")
    return {"id": user.pk, "username": user.username}


urlpatterns: list[object] = []
