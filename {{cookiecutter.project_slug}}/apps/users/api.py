"""Users in the HTTP API: who calls it, and what they learn about themselves."""

from django.http import HttpRequest
from ninja import ModelSchema, Router
from ninja.security import HttpBearer, SessionAuth

from apps.users import tokens
from apps.users.models import User

router = Router(tags=["users"])


class Token(HttpBearer):
    """A token in the Authorization header, for programs."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Return the user that a token stands for."""
        user = tokens.read(token)
        if user:
            request.user = user
        return user


class Session(SessionAuth):
    """The session of a browser."""

    def _get_key(self, request: HttpRequest) -> str | None:
        # Only who has a session needs protection against forged requests.
        return super()._get_key(request) if self.param_name in request.COOKIES else None


class UserOut(ModelSchema):
    """What the API tells of a user."""

    class Meta:
        """Names the fields."""

        model = User
        fields = ("id", "username", "first_name", "last_name", "email")


def identify(request: HttpRequest) -> User:
    """Return the user who asks: nobody else is let in."""
    assert isinstance(request.user, User)  # noqa: S101 - for the type checker
    return request.user


@router.get("/me", response=UserOut, summary="The user who asks")
def me(request: HttpRequest) -> User:
    """Return the user who asks."""
    return identify(request)
