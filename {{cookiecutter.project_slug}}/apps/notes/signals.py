"""What follows when a note was saved."""

{% if cookiecutter.task_queue == "none" %}
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.notes.models import Note


@receiver(post_save, sender=Note)
def count_words(instance: Note, **options: Any) -> None:
    """Count the words of a note."""
    instance.count_words()
{% else %}
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.notes.models import Note
from apps.notes.tasks import count_words


@receiver(post_save, sender=Note)
def count_words_later(instance: Note, **options: Any) -> None:
    """Have the words of a note counted; that they cannot be is logged, and the note is kept."""
{% if cookiecutter.__celery %}
    transaction.on_commit(partial(count_words.delay, instance.pk), robust=True)
{% else %}
    transaction.on_commit(partial(count_words.enqueue, instance.pk), robust=True)
{% endif %}
{% endif %}
