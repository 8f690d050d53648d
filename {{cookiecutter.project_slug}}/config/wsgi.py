"""The WSGI application, for the server."""

import os

from django.core.wsgi import get_wsgi_application

from config import process

process.role = "server"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
