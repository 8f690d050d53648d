"""The ASGI application, for the server."""

import os

from django.core.asgi import get_asgi_application

{% if cookiecutter.server == "daphne" %}
from config import daphne, process
{% else %}
from config import process
{% endif %}

process.role = "server"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_asgi_application()
{% if cookiecutter.server == "daphne" %}
daphne.end_with_the_reactor()
{% endif %}
