"""The HTTP API: its schema is at /api/v1/openapi.json, its documentation at /api/v1/docs."""

from django.conf import settings
from ninja import NinjaAPI
from ninja.security import django_auth

from apps.users.api import router

api = NinjaAPI(title=settings.SITE_NAME, version="1.0.0", auth=django_auth)
api.add_router("/users", router)
