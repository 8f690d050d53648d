"""The ASGI application, for the server."""

import os

from django.core.asgi import get_asgi_application

from config import process

process.role = "server"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_asgi_application()
