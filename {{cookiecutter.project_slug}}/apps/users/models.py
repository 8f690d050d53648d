"""Who uses this service."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A user of this service: its own model from the start, so that it can grow."""
