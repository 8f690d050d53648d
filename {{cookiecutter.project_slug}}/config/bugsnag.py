"""Reports exceptions to Bugsnag."""

from typing import Any

import bugsnag


def configure(api_key: str, *, environment: str, release: str) -> dict[str, Any]:
    """Start reporting, without data about people, and return Bugsnag's settings for Django."""
    bugsnag.before_notify(drop_personal_data)
    return {
        "api_key": api_key,
        "app_version": release or None,
        "auto_capture_sessions": False,
        "release_stage": environment,
    }


def drop_personal_data(event: Any) -> None:
    """Drop the user, the session, and all of the request but its method and path."""
    event.user = {}
    request = event.metadata.get("request", {})
    event.metadata = {"request": {key: request.get(key) for key in ("method", "path")}}
