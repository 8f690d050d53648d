"""The HTTP API: its schema is at /api/v1/openapi.json, its documentation at /api/v1/docs."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter

from apps.notes.views import NoteViewSet
from apps.users.views import MeView

app_name = "api"
public = {"permission_classes": [AllowAny]}
router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("notes", NoteViewSet)

urlpatterns = [
    path("openapi.json", SpectacularJSONAPIView.as_view(**public), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="api:schema", **public), name="docs"),
    path("users/me", MeView.as_view(), name="me"),
    *router.urls,
]
