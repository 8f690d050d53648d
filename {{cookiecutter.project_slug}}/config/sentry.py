"""Reports exceptions to Sentry, or to a server that speaks its protocol."""

from typing import Any

import sentry_sdk

# Paths that a load balancer calls over and over.
QUIET = ("/health", "/common/health", "/__")


def configure(dsn: str, *, environment: str, release: str, traces_sample_rate: float) -> None:
    """Start reporting, without data about people."""

    def sample(context: dict[str, Any]) -> float:
        request = context.get("wsgi_environ") or context.get("asgi_scope") or {}
        path = str(request.get("PATH_INFO") or request.get("path") or "")
        return 0.0 if path.startswith(QUIET) else traces_sample_rate

    sentry_sdk.init(
        dsn,
        environment=environment,
        release=release or None,
        traces_sampler=sample,
        data_collection={
            "cookies": {"mode": "off"},
            "database_query_data": False,
            "http_bodies": [],
            "http_headers": {"request": {"mode": "off"}},
            "queues": False,
            "stack_frame_variables": False,
            "url_query_params": {"mode": "off"},
            "user_info": False,
        },
    )
