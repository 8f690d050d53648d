"""Prometheus learns of requests, queries and dependencies, and the public of nothing."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client


@pytest.mark.django_db
def test_requests_queries_and_dependencies_are_counted(client: Client) -> None:
    get_user_model().objects.count()
    client.get("/admin/login/")

    metrics = client.get("/metrics", headers={"host": "10.1.2.3"}).text

    labels = 'method="GET",status="200",view="admin:login"'
    assert "http_request_duration_seconds_count{" + labels + "} " in metrics
    assert 'database_query_duration_seconds_count{database="default"}' in metrics
    assert 'dependency_up{dependency="database",required="true"} 1.0' in metrics


@pytest.mark.django_db
def test_unknown_paths_share_a_label(client: Client) -> None:
    client.get("/nobody/asked/for/this")

    metrics = client.get("/metrics").text

    assert 'status="404",view="none"' in metrics
    assert "nobody" not in metrics


def test_the_public_sees_no_metrics(client: Client) -> None:
    headers = {"x-forwarded-for": "203.0.113.9"}

    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.1").status_code == 404
