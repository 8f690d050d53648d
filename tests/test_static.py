"""Static files are where pages say they are, compressed, and for ever."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.conftest import Projects
from tests.project import PRODUCTION, Server
from tests.services import S3, Postgres, running

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def storage() -> Iterator[str]:
    """Run a server that speaks S3, and yield its URL."""
    with running(S3) as server:
        server.create_bucket("static")
        yield server.url()


def addresses(server: Server) -> list[str]:
    """Return the addresses of styles and scripts on the page where people log in."""
    page = server.get("/admin/login/").text
    return re.findall(r"(?:href|src)=\"([^\"]+\.(?:css|js))\"", page)


@pytest.mark.parametrize("name", ["gunicorn", "uvicorn"])
def test_whitenoise_serves_compressed_files_for_ever(
    name: str, projects: Projects, postgres: Postgres
) -> None:
    """Hashed files come with brotli or gzip, as the browser likes, and never change (S7)."""
    project = projects(server=name)
    variables = {**PRODUCTION, "DATABASE_URL": postgres.database(), "REDIS_URL": "redis://x/0"}
    project.manage("collectstatic", "--no-input", variables=variables)

    with project.serve(variables) as server:
        found = addresses(server)
        # The first of them finds out which files there are, while the others wait.
        with ThreadPoolExecutor(8) as pool:
            at_once = [answer.status_code for answer in pool.map(server.get, found[:1] * 8)]
        answers = {
            coding: [server.get(path, accept_encoding=coding) for path in found]
            for coding in ("br", "gzip", "identity")
        }

    assert found
    assert at_once == [200] * 8
    for coding, responses in answers.items():
        for response in responses:
            assert response.status_code == 200
            assert "immutable" in response.headers["Cache-Control"]
            assert "Accept-Encoding" in response.headers["Vary"]
            assert response.headers.get("Content-Encoding", "identity") == coding


def test_a_start_without_static_files_says_so(projects: Projects, postgres: Postgres) -> None:
    """That nothing was collected shows before the first page without its styles (S7)."""
    project = projects()
    variables = {**PRODUCTION, "DATABASE_URL": postgres.database(), "REDIS_URL": "redis://x/0"}

    with project.serve(variables) as server:
        assert "No directory at" in server.output


def test_s3_serves_compressed_files_for_ever(
    projects: Projects, postgres: Postgres, storage: str
) -> None:
    """Pages name hashed files in the bucket, which their policy allows and S3 has (S7, S2)."""
    project = projects(static_files="s3")
    variables = {
        **PRODUCTION,
        **KEYS,
        "AWS_S3_ENDPOINT_URL": storage,
        "AWS_STORAGE_BUCKET_NAME": "static",
        "DATABASE_URL": postgres.database(),
        "REDIS_URL": "redis://x/0",
    }
    project.manage("collectstatic", "--no-input", variables=variables)

    with project.serve(variables) as server:
        found = addresses(server)
        policy = server.get("/admin/login/").headers["Content-Security-Policy"]

    assert found
    assert all(address.startswith(f"{storage}/static/") for address in found)
    for directive in ("script-src", "style-src"):
        assert re.search(rf"{directive} [^;]*{re.escape(storage)}", policy)
    for address in found:
        response = requests.get(address, timeout=30)
        assert response.status_code == 200
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("variables", "origin"),
    [
        ({"AWS_S3_REGION_NAME": "eu-central-1"}, "https://static.s3.eu-central-1.amazonaws.com"),
        ({"AWS_S3_CUSTOM_DOMAIN": "static.example.com"}, "https://static.example.com"),
        ({"AWS_S3_ENDPOINT_URL": "https://s3.example.com"}, "https://s3.example.com"),
    ],
)
def test_policy_allows_what_pages_name(
    variables: dict[str, str], origin: str, projects: Projects
) -> None:
    """Wherever the bucket is, its origin stands in addresses and in the policy (S2, S7)."""
    project = projects(static_files="s3", use_redis=False)
    code = (
        "from django.conf import settings; from storages.backends.s3 import S3Storage;"
        "print(S3Storage(**settings.STORAGES['staticfiles']['OPTIONS']).url('a/b.css'),"
        "*settings.SECURE_CSP['style-src'])"
    )
    environment = {
        **PRODUCTION,
        **KEYS,
        **variables,
        "AWS_STORAGE_BUCKET_NAME": "static",
        "DATABASE_URL": "postgres://127.0.0.1:1/nothing",
    }

    address, *sources = project.manage(
        "shell", "--no-imports", "--command", code, variables=environment
    ).stdout.split()

    assert address.startswith(f"{origin}/")
    assert origin in sources
