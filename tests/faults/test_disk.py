"""The disk for temporary files is full."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import Projects
from tests.project import PRODUCTION, Server
from tests.services import Postgres, find, missing, until

pytestmark = [pytest.mark.slow, pytest.mark.timed]

# Larger than FILE_UPLOAD_MAX_MEMORY_SIZE, so that it is kept in a file.
LARGE = 4_000_000
SMALL = 1_000


def tiny(folder: Path) -> tuple[str, ...]:
    """Return what to put before a command whose temporary files get a disk of 64 kB."""
    if os.geteuid() != 0:
        missing("the right to mount: run as root")
    mount = f'mount -t tmpfs -o size=64k tmpfs {folder} && exec "$@"'
    return (find("unshare", "util-linux"), "--mount", "--", "sh", "-c", mount, "sh")


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(
    request: pytest.FixtureRequest, projects: Projects, postgres: Postgres, tmp_path: Path
) -> Iterator[Server]:
    """Run a service whose disk for temporary files is tiny."""
    variables = {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "TMPDIR": str(tmp_path),
    }
    service = projects(server=request.param, use_redis=False).start(
        variables, prefix=tiny(tmp_path)
    )
    try:
        until(service.serves, 40, "the start of the service")
        yield service
    finally:
        service.stop()


def upload(server: Server, size: int) -> requests.Response:
    """Upload a file."""
    return requests.post(
        f"http://127.0.0.1:{server.port}/trial/upload",
        files={"file": ("name", bytes(size))},
        headers={"Host": "example.com", "X-Forwarded-Proto": "https"},
        timeout=20,
    )


def test_a_full_disk_fails_large_uploads_only(server: Server) -> None:
    """What does not fit fails with a reason in the log, and everything else works (H9)."""
    small = upload(server, SMALL)
    large = upload(server, LARGE)
    again = upload(server, SMALL)
    other = server.get("/trial/scheme")
    health = server.get("/health")

    assert (small.status_code, again.status_code, other.status_code) == (200, 200, 200)
    assert large.status_code == 500
    assert health.status_code == 200
    assert "No space left on device" in server.output
