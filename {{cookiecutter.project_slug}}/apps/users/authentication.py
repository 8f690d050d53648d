"""Who calls the HTTP API."""

from django.http import HttpRequest
from rest_framework.authentication import TokenAuthentication as Base
from rest_framework.exceptions import AuthenticationFailed

from apps.users import tokens
from apps.users.models import User


class TokenAuthentication(Base):
    """A token in the Authorization header, for programs."""

    keyword = "Bearer"

    def authenticate_credentials(self, key: str) -> tuple[User, str]:
        """Return the user that a token stands for."""
        user = tokens.read(key)
        if user is None:
            raise AuthenticationFailed("The token is not valid any more.")
        return user, key


def identify(request: HttpRequest) -> User:
    """Return the user who asks: nobody else is let in."""
    assert isinstance(request.user, User)  # noqa: S101 - for the type checker
    return request.user
