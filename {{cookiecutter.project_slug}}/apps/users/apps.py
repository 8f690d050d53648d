"""The app of the people who use this service."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Holds the user model, which every other app refers to as AUTH_USER_MODEL."""

    name = "apps.users"
