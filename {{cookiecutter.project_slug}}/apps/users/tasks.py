"""What this service does in the background for its users."""

from django.core.management import call_command
{% if cookiecutter.__celery %}

from config.celery import app


@app.task
{% else %}
from django.tasks import task


@task()
{% endif %}
def remove_expired_sessions() -> None:
    """Remove the sessions of people who did not come back."""
    call_command("clearsessions")
