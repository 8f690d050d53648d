"""How a service shows Elasticsearch who it is, and makes sure whom it talks to."""

import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from tests.conftest import Projects
from tests.elasticsearch import elasticsearch
from tests.project import PRODUCTION
from tests.services import Postgres, find

pytestmark = pytest.mark.slow

BASIC = "Basic " + b64encode(b"service:pass word").decode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate that vouches for itself."""
    path = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=search"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", "-"]
    openssl = find("openssl", "openssl")
    done = subprocess.run(
        [openssl, *command.split(), *names], check=True, capture_output=True, text=True
    )
    with path.open("a") as file:
        file.write(done.stdout)
    return path


@pytest.mark.parametrize(
    ("expected", "user", "key", "trusted", "reason"),
    [
        ("", "", "", True, ""),
        (BASIC, "service:pass%20word@", "", True, ""),
        ("ApiKey secret-key", "", "secret-key", True, ""),
        (BASIC, "service:wrong@", "", True, "401"),
        ("", "", "", False, "CERTIFICATE_VERIFY_FAILED"),
    ],
    ids=["nobody", "user", "key", "wrong", "stranger"],
)
def test_search_is_trusted_and_trusts(
    expected: str,
    user: str,
    key: str,
    trusted: bool,
    reason: str,
    certificate: Path,
    projects: Projects,
    postgres: Postgres,
) -> None:
    """User name, API key and authority are those of the variables, and show in no line (H1)."""
    project = projects(use_elasticsearch=True, use_redis=False)
    with elasticsearch(expected, certificate) as search:
        variables = {
            **PRODUCTION,
            "DATABASE_URL": postgres.database(),
            "ELASTICSEARCH_API_KEY": key,
            "ELASTICSEARCH_CA_CERTS": str(certificate) if trusted else "",
            "ELASTICSEARCH_URL": search.url.replace("//", f"//{user}"),
        }
        done = project.manage("check_dependencies", variables=variables, check=False)

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("elasticsearch "))
    assert ("DOWN" in line) == (done.returncode != 0) == bool(reason)
    assert reason in line
    for secret in ("pass%20word", "pass word", "service:", "secret-key"):
        assert secret not in done.stdout
