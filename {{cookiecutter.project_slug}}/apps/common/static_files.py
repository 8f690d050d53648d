"""How WhiteNoise serves the static files."""

import threading
from collections.abc import Callable
from pathlib import Path

from django.http import HttpRequest, HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Looks the static files over with the first request for one, and not while starting."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.unread: list[tuple[Path, str]] = []
        self.reading = threading.Lock()
        super().__init__(get_response)

    def add_files(self, root: Path, prefix: str | None = None) -> None:
        """Remember a folder; what is not there, or at no path of its own, is dealt with now."""
        if prefix and Path(root).is_dir():
            self.unread.append((root, prefix))
        else:
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return a static file, or what the rest of the chain returns."""
        if self.unread and request.path_info.startswith(self.static_prefix):
            with self.reading:
                for folder in self.unread:
                    super().add_files(*folder)
                self.unread = []
        response: HttpResponseBase = super().__call__(request)
        return response
