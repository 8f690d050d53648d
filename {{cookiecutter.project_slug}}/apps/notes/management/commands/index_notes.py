"""``manage.py index_notes`` makes the search index anew."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.notes import search


class Command(BaseCommand):
    """Makes the search index anew from all notes; meanwhile a search finds fewer."""

    help = "Make the search index anew from all notes; meanwhile a search finds fewer."

    def handle(self, *args: Any, **options: Any) -> str:
        """Return how many notes were put into the index."""
        try:
            return f"Indexed {search.rebuild()} notes"
        except search.FAILURES as error:
            raise CommandError(f"Notes cannot be indexed: {error}") from error
