"""Addresses of this service; the health paths are answered by middleware."""

from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

admin.site.site_header = admin.site.site_title = settings.SITE_NAME

urlpatterns = [
    path("", RedirectView.as_view(url="/health"), name="index"),
    path(settings.ADMIN_URL, admin.site.urls),
]
