"""Addresses of this service; the health paths are answered by middleware."""

from django.conf import settings
from django.contrib import admin
{% if cookiecutter.api == "drf" %}
from django.urls import include, path
{% else %}
from django.urls import path
{% endif %}
from django.views.generic import RedirectView
{% if cookiecutter.api == "ninja" %}

from config.api import api
{% endif %}

admin.site.site_header = admin.site.site_title = settings.SITE_NAME
{% if cookiecutter.api == "none" %}
handler500 = "apps.common.pages.server_error"
{% else %}
handler400 = "apps.common.problems.bad_request"
handler404 = "apps.common.problems.not_found"
handler500 = "apps.common.problems.server_error"
{% endif %}

urlpatterns = [
{% if cookiecutter.api == "none" %}
    path("", RedirectView.as_view(url="/health"), name="index"),
{% else %}
    path("", RedirectView.as_view(url="/api/v1/docs"), name="index"),
{% endif %}
    path(settings.ADMIN_URL, admin.site.urls),
{% if cookiecutter.api == "ninja" %}
    path("api/v1/", api.urls),
{% endif %}
{% if cookiecutter.api == "drf" %}
    path("api/v1/", include("config.api_urls")),
{% endif %}
]
