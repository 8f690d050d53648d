"""Users in the HTTP API."""

from django.http import HttpRequest
from rest_framework.generics import RetrieveAPIView

from apps.users.authentication import identify
from apps.users.models import User
from apps.users.serializers import UserSerializer


class MeView(RetrieveAPIView[User]):
    """The user who asks."""

    request: HttpRequest
    serializer_class = UserSerializer

    def get_object(self) -> User:
        """Return the user who asks."""
        return identify(self.request)
