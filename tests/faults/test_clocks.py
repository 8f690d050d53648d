"""Replicas whose clocks differ give out tokens and sessions to each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.conftest import Projects
from tests.faults.clients import Outcome, Record, endure
from tests.faults.table import find
from tests.project import HOST
from tests.services import Postgres, Redis
from tests.test_api import token, variables

pytestmark = pytest.mark.slow

FAULT = find("Tokens come from a replica whose clock is five minutes off")
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


@pytest.mark.timed
@pytest.mark.parametrize(("server", "api"), [("gunicorn", "ninja"), ("uvicorn", "drf")])
def test_tokens_bear_with_clocks_that_differ(
    server: str, api: str, projects: Projects, postgres: Postgres, redis: Redis, record: Record
) -> None:
    """A token of a replica with a wrong clock counts, until it is too old for this one (S2)."""
    environment = {
        **variables(postgres, redis),
        "ALLOWED_HOSTS": f"127.0.0.1,{HOST}",
        "API_CALLS_PER_MINUTE": "1000000",
        "API_TOKEN_AGE": str(AGE),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
    }
    project = projects(server=server, api=api)
    project.manage("migrate", "--verbosity", "0", variables=environment)
    token(project, environment)
    code = MAKE.format(skews=", ".join(map(str, SKEWS)))

    printed = project.manage("shell", "--no-imports", "--command", code, variables=environment)
    tokens = [line.split()[1] for line in printed.stdout.splitlines() if line[:5] == "TOKEN"]
    of = dict(zip(SKEWS, tokens, strict=True))
    bearer = of[0]
    with project.serve(environment) as service:

        def ask(token: str) -> int:
            answer = service.get("/api/v1/users/me", Authorization=f"Bearer {token}")
            return int(answer.status_code)

        @contextmanager
        def off(skew: int) -> Iterator[None]:
            nonlocal bearer
            bearer = of[skew]
            yield
            bearer = of[0]

        statuses = {skew: ask(of[skew]) for skew in SKEWS}
        late = endure(FAULT, service, lambda: ask(bearer), partial(off, -300))
        early = endure(FAULT, service, lambda: ask(bearer), partial(off, 300))

    assert statuses == SKEWS
    slowest = max(late.slowest, early.slowest)
    record(FAULT, Outcome(late.statuses + early.statuses, slowest, 0))
