"""The ASGI application, for the server."""

import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

{% if cookiecutter.server == "daphne" %}
from config import daphne, process
{% else %}
from config import process
{% endif %}

process.role = "server"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with process.stoppable():
    application = get_asgi_application()
{% if cookiecutter.server == "daphne" %}
    # Now, and not with the first request.
{% else %}
    # Now, and not in each of the server's processes with its first request.
{% endif %}
    import_module(settings.ROOT_URLCONF)
{% if cookiecutter.server == "daphne" %}
daphne.end_with_the_reactor()
{% endif %}
