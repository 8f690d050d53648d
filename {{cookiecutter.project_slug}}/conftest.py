"""Fixtures that every test may use."""

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _static_files_need_no_manifest(settings: Settings) -> None:
    backend = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
