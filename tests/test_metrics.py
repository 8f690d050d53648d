"""Metrics add up over the processes of a real server, and over those it replaces."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.project import PRODUCTION, Project
from tests.services import until
from tools.render import options


@pytest.fixture(scope="module", params=options()["server"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Render a service with each server."""
    answers = {"server": request.param, "use_redis": False, "use_prometheus": True}
    return Project(answers, tmp_path_factory.mktemp(request.param))


def counted(metrics: str) -> float:
    """Return how many requests for a missing page the metrics count."""
    found = re.search(
        r'http_request_duration_seconds_count\{method="GET",status="404",view="none"\} (\S+)',
        metrics,
    )
    return float(found[1]) if found else 0


def test_requests_add_up_over_processes_and_their_successors(
    project: Project, tmp_path: Path
) -> None:
    """Metrics count every request, whichever process answered and lives (O3)."""
    variables = {**PRODUCTION, "DATABASE_URL": f"sqlite:///{tmp_path / 'db'}"}
    with project.serve(variables) as server:
        for _ in range(40):
            assert server.get("/missing").status_code == 404
        before = counted(server.get("/metrics", host="10.1.2.3").text)

        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        workers = children.read_text().split() if children.exists() else []
        if workers:
            os.kill(int(workers[0]), signal.SIGKILL)
            until(
                lambda: len(set(children.read_text().split()) - {workers[0]}) == len(workers),
                20,
                "the replacement of a worker",
            )
        for _ in range(40):
            assert server.get("/missing").status_code == 404
        after = counted(server.get("/metrics", host="10.1.2.3").text)

        assert (before, after) == (40, 80)
        stranger = {"X_Forwarded_For": "203.0.113.9"}
        assert server.get("/metrics", **stranger).status_code == 404
