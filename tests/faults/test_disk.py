"""The disk for temporary files is full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.conftest import Projects
from tests.faults.clients import Record, endure
from tests.faults.table import find as find_fault
from tests.project import HOST, PRODUCTION, Server
from tests.services import Postgres, find, missing, until

pytestmark = [pytest.mark.slow, pytest.mark.timed]

# Larger than FILE_UPLOAD_MAX_MEMORY_SIZE, so that it is kept in a file.
LARGE = 4_000_000
SMALL = 1_000


def with_a_disk(folder: Path) -> tuple[str, ...]:
    """Return what to put before a command that gets a disk of its own for a folder."""
    if os.geteuid() != 0:
        missing("the right to mount: run as root")
    mount = f'mount -t tmpfs -o size=64m tmpfs {folder} && exec "$@"'
    return (find("unshare", "util-linux"), "--mount", "--", "sh", "-c", mount, "sh")


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(
    request: pytest.FixtureRequest, projects: Projects, postgres: Postgres, tmp_path: Path
) -> Iterator[Server]:
    """Run a service whose temporary files have a disk of their own."""
    variables = {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "TMPDIR": str(tmp_path),
    }
    service = projects(server=request.param, use_redis=False).start(
        variables, prefix=with_a_disk(tmp_path)
    )
    try:
        until(service.serves, 120, "the start of the service")
        yield service
    finally:
        service.stop()


@contextmanager
def full(server: Server, folder: Path) -> Iterator[None]:
    """Leave that disk no room."""
    inside = [find("nsenter", "util-linux"), f"--mount=/proc/{server.pid}/ns/mnt", "--"]

    def resize(size: str) -> bool:
        command = [*inside, "mount", "-o", f"remount,size={size}", str(folder)]
        return not subprocess.run(command, capture_output=True).returncode

    # It cannot be made smaller than what is there at that moment.
    until(lambda: resize("64k"), 20, "a disk without temporary files")
    try:
        yield
    finally:
        assert resize("64m")


def upload(server: Server, size: int) -> int:
    """Return the status of the answer to a file."""
    answer = requests.post(
        f"http://127.0.0.1:{server.port}/trial/upload",
        files={"file": ("name", bytes(size))},
        headers={"Host": HOST, "X-Forwarded-Proto": "https"},
        timeout=20,
    )
    return answer.status_code


def test_a_full_disk_fails_large_uploads(server: Server, tmp_path: Path, record: Record) -> None:
    """What does not fit fails with a reason in the log, until there is room again (H9)."""
    fault = find_fault("The disk for temporary files is full, for large uploads")
    request = partial(upload, server, LARGE)

    outcome = endure(fault, server, request, partial(full, server, tmp_path), lasting=2)

    record(fault, outcome)


def test_a_full_disk_fails_nothing_else(server: Server, tmp_path: Path) -> None:
    """What is small enough for memory succeeds, and so does everything else (H9)."""
    with full(server, tmp_path):
        small = upload(server, SMALL)
        large = upload(server, LARGE)
        again = upload(server, SMALL)
        other = server.get("/trial/scheme")
        health = server.get("/health")

    assert (small, large, again) == (200, 500, 200)
    assert (other.status_code, health.status_code) == (200, 200)
