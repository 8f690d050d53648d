"""Metrics add up over the processes of a real server, and over those it replaces."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project import PRODUCTION, Project
from tests.services import Prometheus, Redis, find, running, until
from tools.render import largest, options, write


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


def migrated(project: Project, redis: Redis) -> dict[str, str]:
    """Return the environment of a service with a cache and a migrated database of its own."""
    variables = {
        **PRODUCTION,
        "DATABASE_URL": f"sqlite:///{project.folder / 'db'}",
        "REDIS_URL": redis.url(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
    }
    project.manage("migrate", "--verbosity", "0", variables=variables)
    return variables


@pytest.mark.slow
def test_the_cache_is_counted_whether_it_is_there_or_not(tmp_path: Path) -> None:
    """Hits, misses and what could not be asked for are told apart (O3)."""
    project = Project({"use_redis": True, "use_prometheus": True}, tmp_path)
    with running(Redis) as redis:
        variables = migrated(project, redis)
        # A busy machine may keep Redis from answering in time, but not three times.
        for _ in range(3):
            with project.serve(variables) as server:
                for number in range(3):
                    server.get(f"/trial/remember?value={number}")
                assert server.get("/trial/forget").json()["value"] is None
                late = "The cache is off" in server.output
                with redis.stopped():
                    for _ in range(4):
                        assert server.get("/trial/remember?value=lost").json()["value"] is None
                metrics = server.get("/metrics", host="10.1.2.3").text
            if not late:
                break

    found = dict(re.findall(r'cache_requests_total\{result="(\w+)"\} (\S+)', metrics))
    assert found == {"hit": "3.0", "miss": "1.0", "error": "4.0"}


def rules(folder: Path) -> list[dict[str, str]]:
    """Return the alert rules of a service."""
    found = yaml.safe_load((folder / "deploy/prometheus/alerts.yaml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def panels(folder: Path) -> list[dict[str, Any]]:
    """Return the panels of a service's dashboard, with queries as Grafana would send them."""
    dashboard = (folder / "deploy/grafana/dashboard.json").read_text()
    found = dashboard.replace("$job", "example-service").replace("$__rate_interval", "10s")
    return list(json.loads(found)["panels"])


def test_only_what_has_a_limit_is_red(tmp_path: Path) -> None:
    """A number gets its colours from limits of its own: Grafana's own are red from 80 on (O3)."""
    write({"use_prometheus": True}, tmp_path)

    numbers = [panel for panel in panels(tmp_path) if panel["type"] == "stat"]

    assert numbers
    for panel in numbers:
        assert {"color", "thresholds"} & panel["fieldConfig"]["defaults"].keys(), panel["title"]


def test_alerts_fire_when_they_ought_to(tmp_path: Path) -> None:
    """The configuration is sound for promtool, and the tests of the alerts pass (O3)."""
    promtool = find("promtool", "prometheus")
    write(largest(), tmp_path)
    folder = tmp_path / "deploy/prometheus"

    for command in (
        ("test", "rules", "alerts_test.yaml"),
        ("check", "config", "prometheus.yaml"),
    ):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = (folder / "alerts_test.yaml").read_text()
    for rule in rules(tmp_path):
        assert f"alertname: {rule['alert']}\n" in tested
        # Others may have metrics of the same name.
        assert all("job=" in selector for selector in re.findall(r"{.*?}", rule["expr"]))


@pytest.mark.slow
@pytest.mark.parametrize("name", options()["server"])
def test_a_real_prometheus_finds_all_that_is_asked_for(name: str, tmp_path: Path) -> None:
    """Each panel of the dashboard shows data, and each alert asks for what exists (O3)."""
    project = Project({"server": name, "use_prometheus": True, "use_redis": True}, tmp_path)
    with running(Redis) as redis:
        variables = migrated(project, redis)
        with project.serve(variables) as server:
            prometheus = Prometheus(tmp_path, server.port)

            def unanswered() -> list[str]:
                for path in ("/trial/enter", "/trial/remember?value=1", "/trial/who"):
                    assert server.get(path).status_code == 200
                assert server.get("/trial/remember").status_code == 500
                return [
                    target["expr"]
                    for panel in panels(tmp_path)
                    for target in panel["targets"]
                    if not (prometheus.ask("query", query=target["expr"]) or {}).get("result")
                ]

            try:
                until(lambda: not unanswered(), 90, "an answer to every query")
                known = set(prometheus.ask("label/__name__/values"))
                health = [
                    rule["health"]
                    for group in prometheus.ask("rules")["groups"]
                    for rule in group["rules"]
                ]
            finally:
                prometheus.stop(signal.SIGTERM)

    asked = {metric for rule in rules(tmp_path) for metric in re.findall(r"(\w+)\{", rule["expr"])}
    assert asked
    assert asked <= known
    assert set(health) == {"ok"}
