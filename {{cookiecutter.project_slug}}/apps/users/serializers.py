"""Users as the HTTP API shows them."""

from rest_framework import serializers

from apps.users.models import User


class UserSerializer(serializers.ModelSerializer[User]):
    """What the API tells of a user."""

    class Meta:
        """Names the fields."""

        model = User
        fields = ("id", "username", "first_name", "last_name", "email")
