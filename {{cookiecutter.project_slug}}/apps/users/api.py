"""Users in the HTTP API."""

from django.http import HttpRequest
from ninja import ModelSchema, Router

from apps.users.models import User

router = Router(tags=["users"])


class UserOut(ModelSchema):
    """What the API tells of a user."""

    class Meta:
        """Names the fields."""

        model = User
        fields = ("id", "username", "first_name", "last_name", "email")


@router.get("/me", response=UserOut, summary="The user who asks")
def me(request: HttpRequest) -> object:
    """Return the user who asks."""
    return request.user
