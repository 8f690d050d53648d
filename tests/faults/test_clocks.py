"""Replicas whose clocks differ give out tokens and sessions to each other."""

import pytest

from tests.conftest import Projects
from tests.services import Postgres, Redis
from tests.test_api import token, variables

pytestmark = pytest.mark.slow

AGE = 1_000
MAKE = """
import time
from unittest import mock
from apps.users import tokens
from apps.users.models import User

user = User.objects.get(username="somebody")
now = time.time()
for skew in [{skews}]:
    with mock.patch("time.time", lambda: now + skew):
        print("TOKEN", tokens.make(user))
"""
# How many seconds the clock of the replica that makes a token is wrong, and the answer.
SKEWS = {
    0: 200,
    5: 200,
    -5: 200,
    300: 200,
    -300: 200,
    AGE + 60: 200,
    -AGE - 60: 401,
}


@pytest.mark.parametrize("api", ["ninja", "drf"])
def test_tokens_bear_with_clocks_that_differ(
    api: str, projects: Projects, postgres: Postgres, redis: Redis
) -> None:
    """A token of a replica with a wrong clock counts, until it is too old for this one (S2)."""
    environment = {**variables(postgres, redis), "API_TOKEN_AGE": str(AGE)}
    project = projects(api=api)
    project.manage("migrate", "--verbosity", "0", variables=environment)
    token(project, environment)
    code = MAKE.format(skews=", ".join(map(str, SKEWS)))

    printed = project.manage("shell", "--no-imports", "--command", code, variables=environment)
    tokens = [line.split()[1] for line in printed.stdout.splitlines() if line[:5] == "TOKEN"]
    with project.serve(environment) as server:
        statuses = [
            server.get(
                "/api/v1/users/me", host="127.0.0.1", Authorization=f"Bearer {each}"
            ).status_code
            for each in tokens
        ]

    assert dict(zip(SKEWS, statuses, strict=True)) == SKEWS
