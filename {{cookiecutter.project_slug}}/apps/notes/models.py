"""What users write down."""

from typing import TypedDict

from django.conf import settings
from django.core.cache import cache
from django.db import models

# How old the statistics of a user may be, in seconds.
FRESH = 10


class Statistics(TypedDict):
    """How much a user has written."""

    notes: int
    words: int


class NoteQuerySet(models.QuerySet["Note"]):
    """Notes, and what is asked of many at once."""

    def statistics(self, owner: int) -> Statistics:
        """Return how much a user has written, as it was at most ten seconds ago."""
        key = f"notes-statistics-{owner}"
        found: Statistics | None = cache.get_or_set(key, lambda: self.count_all(owner), FRESH)
        return found or self.count_all(owner)

    def count_all(self, owner: int) -> Statistics:
        """Count what a user has written."""
        counted = self.filter(owner=owner).aggregate(
            notes=models.Count("id"), words=models.Sum("words", default=0)
        )
        return Statistics(notes=counted["notes"], words=counted["words"])


class Note(models.Model):
    """A note, which only its owner sees."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notes"
    )
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True, max_length=10_000)
    words = models.PositiveIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = NoteQuerySet.as_manager()

    class Meta:
        """Puts the newest first."""

        ordering = ("-id",)

    def __str__(self) -> str:
        return self.title

    def count_words(self) -> None:
        """Store of how many words the text consists, unless it has been replaced meanwhile."""
        self.words = len(self.text.split())
        Note.objects.filter(pk=self.pk, text=self.text).update(words=self.words)
