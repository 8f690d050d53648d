"""Fixtures of the tests that break things."""

from collections.abc import Callable

import pytest

from tests.faults.clients import Outcome, Record
from tests.faults.table import Fault


@pytest.fixture
def record(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Record:
    """Return a function that keeps what clients saw, for the table at the end."""

    def keep(fault: Fault, outcome: Outcome) -> None:
        statuses = ", ".join(f"{n} x {status}" for status, n in sorted(outcome.statuses.items()))
        times = f"{outcome.slowest:5.2f} s  {outcome.recovery:5.2f} s"
        server = request.node.callspec.id.partition("-")[0]
        record_property("fault", f"{server:8}  {fault.name:36}  {times}  {statuses}")

    return keep
