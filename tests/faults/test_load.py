"""What is left of many requests: nothing."""

import re
import subprocess
from pathlib import Path

import pytest

from bench.instruments import BACKENDS
from tests.faults.test_clients import files
from tests.project import Project, Server
from tests.services import Postgres, Redis, find, until
from tests.test_api import token, variables
from tests.test_servers import children

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(1800)]

REQUESTS = 200_000
# Of those, how many come before the first look; caches and pools have filled by then.
WARM = 20_000
# How much more memory a worker may have afterwards, in kB.
GROWTH = 2_048
# One in ten asks the database who calls.
SCRIPT = """
local asked = 0
request = function()
    asked = asked + 1
    local path = asked % 10 == 0 and "/api/v1/users/me" or "/trial/scheme"
    return wrk.format("GET", path)
end
"""


def ask(server: Server, bearer: str, number: int, script: Path) -> int:
    """Ask at least so often, and return how many answers were no success."""
    wrk = find("wrk", "wrk")
    failed = 0
    while number > 0:
        command = [
            *(wrk, "--threads=1", "--connections=8", "--duration=10s", "--timeout=20s"),
            *("--header", f"Authorization: Bearer {bearer}", "--script", str(script)),
            f"http://127.0.0.1:{server.port}",
        ]
        printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        number -= int(re.findall(r"(\d+) requests in", printed)[0])
        failed += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", printed)))
        failed += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", printed)))
    return failed


def memory(server: Server) -> list[int]:
    """Return the memory of each worker, shared pages by their part and without files, in kB."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in children(server.pid)]
    return [int(re.findall(r"(?m)^Pss_Anon: +(\d+) kB", text)[0]) for text in texts]


def test_many_requests_leave_nothing_behind(
    tmp_path: Path, postgres: Postgres, redis: Redis
) -> None:
    """200,000 requests leave memory, files and connections as they were (P2, P3)."""
    project = Project({}, tmp_path / "service")
    environment = {
        **variables(postgres, redis),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        # Workers would be replaced in between.
        "GUNICORN_CMD_ARGS": "--max-requests 0",
        "LOG_LEVEL": "warning",
        # A machine that stands still for two seconds would make a request fail.
        "DATABASE_CONNECT_TIMEOUT": "20",
    }
    database = environment["DATABASE_URL"].rpartition("/")[2]
    project.manage("migrate", "--verbosity", "0", variables=environment)
    bearer = token(project, environment)
    script = tmp_path / "script.lua"
    script.write_text(SCRIPT)

    def left(server: Server) -> tuple[list[int], int, int]:
        (connections,) = postgres.query(BACKENDS, database)[0]
        return memory(server), files(server), connections

    with project.serve(environment) as server:
        until(lambda: len(children(server.pid)) == 2, 60, "the second worker")
        workers = children(server.pid)
        failed = ask(server, bearer, WARM, script)
        memory_before, files_before, connections_before = left(server)
        failed += ask(server, bearer, REQUESTS - WARM, script)
        memory_after, files_after, connections_after = left(server)

        assert children(server.pid) == workers

    assert failed == 0
    grown = [after - before for before, after in zip(memory_before, memory_after, strict=True)]
    assert max(grown) < GROWTH, f"{memory_before} {memory_after}"
    # Each of the eight threads may have opened its connections late.
    assert files_after <= files_before + 16
    assert connections_after <= max(connections_before, 8)
