"""What this service does in the background for notes."""

{% if cookiecutter.__celery %}
from apps.notes.models import Note
from config.celery import app


@app.task
{% else %}
from django.tasks import task

from apps.notes.models import Note


@task()
{% endif %}
def count_words(pk: int) -> None:
    """Count the words of a note, unless it is gone; to do so twice does no harm."""
    for note in Note.objects.filter(pk=pk):
        note.count_words()
