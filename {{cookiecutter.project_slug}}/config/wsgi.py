"""The WSGI application, for the server."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config import process

process.role = "server"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with process.stoppable():
    application = get_wsgi_application()
    # Now, and not in each of the server's processes with its first request.
    import_module(settings.ROOT_URLCONF)
