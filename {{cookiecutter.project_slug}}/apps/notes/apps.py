"""The example of this service: README says how to take it out."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    """Holds the notes of users."""

    name = "apps.notes"

    def ready(self) -> None:
        """Listen to what happens to notes."""
{% if cookiecutter.use_elasticsearch %}
        from apps.notes import search, signals  # noqa: F401
{% else %}
        from apps.notes import signals  # noqa: F401
{% endif %}
