"""``manage.py create_token NAME`` prints a token for the HTTP API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.users import tokens
from apps.users.models import User


class Command(BaseCommand):
    """Prints a token with which a program may use the HTTP API."""

    help = "Print a token with which a program may use the HTTP API in the name of a user."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name of the user."""
        parser.add_argument("username", help="name of the user")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        """Return the token."""
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(
                f"There is no active user {username!r}: manage.py createsuperuser makes one."
            )
        return tokens.make(user)
