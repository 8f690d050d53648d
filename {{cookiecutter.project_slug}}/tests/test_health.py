"""What the health paths answer."""

import pytest
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health", "/health/", "/common/health"])
def test_health_answers_any_host_over_plain_http(client: Client, path: str) -> None:
    response = client.get(path, headers={"host": "10.1.2.3"})

    assert response.status_code == 200
    assert response.json()["dependencies"]["database"]["status"] == "ok"
