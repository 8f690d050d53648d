"""The HTTP API of a service keeps its own promises, against a real database and cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Projects
from tests.project import PRODUCTION, Project
from tests.services import Postgres, Redis

ADD_USER = "from apps.users.models import *; User.objects.create(username='{}')"


def variables(postgres: Postgres, redis: Redis) -> dict[str, str]:
    """Return variables with which a service can be called without a proxy."""
    return {
        **PRODUCTION,
        "ALLOWED_HOSTS": "127.0.0.1",
        "API_CALLS_PER_MINUTE": "1000000",
        "DATABASE_URL": postgres.database(),
        "REDIS_URL": redis.url(),
        "SECURE_SSL_REDIRECT": "false",
    }


def token(project: Project, environment: dict[str, str], name: str = "somebody") -> str:
    """Return a token for a new user."""
    project.manage("shell", "--command", ADD_USER.format(name), variables=environment)
    return project.manage("create_token", name, variables=environment).stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("api", ["ninja", "drf"])
def test_api_behaves_as_its_schema_says(
    api: str, projects: Projects, postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    """Schemathesis finds nothing, whatever it sends (U3)."""
    project = projects(api=api)
    environment = variables(postgres, redis)
    project.manage("migrate", "--verbosity", "0", variables=environment)
    bearer = token(project, environment)

    with project.serve(environment) as server:
        schema = f"http://127.0.0.1:{server.port}/api/v1/openapi.json"
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"),
                "run",
                schema,
                "--checks=all",
                "--seed=1",
                "--max-examples=30",
                f"--header=Authorization: Bearer {bearer}",
            ],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    assert done.returncode == 0, done.stdout[-8000:]
    assert "Traceback" not in server.output
