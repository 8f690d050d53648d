"""Prometheus learns of requests, queries and dependencies, and the public of nothing."""

import json
import re

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from apps.common.metrics import time_queries, timed


@pytest.mark.django_db
def test_requests_queries_and_dependencies_are_counted(client: Client) -> None:
    get_user_model().objects.count()
    client.get("/admin/login/")

    metrics = client.get("/metrics", headers={"host": "10.1.2.3"}).text

    labels = 'method="GET",status="200",view="admin:login"'
    assert "http_request_duration_seconds_count{" + labels + "} " in metrics
    assert 'database_query_duration_seconds_count{database="default"}' in metrics
    assert 'dependency_up{dependency="database",required="true"} 1.0' in metrics
    assert 'service_info{environment="production",release=""} 1.0' in metrics


def test_what_wraps_queries_for_a_while_goes_again() -> None:
    fresh = connection.copy()

    with fresh.execute_wrapper(lambda execute, *query: execute(*query)):
        time_queries(fresh)

    assert fresh.execute_wrappers == [timed]


@pytest.mark.django_db
def test_unknown_paths_share_a_label(client: Client) -> None:
    client.get("/nobody/asked/for/this")

    metrics = client.get("/metrics").text

    assert 'status="404",view="none"' in metrics
    assert "nobody" not in metrics


@pytest.mark.parametrize(
    "client_address", ["203.0.113.9", "203.0.113.9:49152", "unknown", "10.0.0.7"]
)
def test_the_public_sees_no_metrics(client: Client, client_address: str) -> None:
    headers = {"x-forwarded-for": client_address}

    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.1").status_code == 404


def test_every_alert_has_its_row_in_the_runbook() -> None:
    rules = (settings.BASE_DIR / "deploy/prometheus/alerts.yaml").read_text()
    readme = (settings.BASE_DIR / "README.md").read_text()
    table = readme.partition("| Alert |")[2].partition("\n\n")[0]

    alerts = re.findall(r"alert: (\w+)", rules)

    assert alerts
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == alerts


def test_every_panel_asks_for_the_service_that_is_chosen() -> None:
    dashboard = json.loads((settings.BASE_DIR / "deploy/grafana/dashboard.json").read_text())

    queries = [query["expr"] for panel in dashboard["panels"] for query in panel["targets"]]

    assert queries
    assert all('job="$job"' in query for query in queries)
