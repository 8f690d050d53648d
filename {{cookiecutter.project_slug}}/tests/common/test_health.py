"""Every dependency is asked at once, and in time."""

import threading
import time
from collections.abc import Callable

import pytest

from apps.common import health
from apps.common.health import Probe

type Check = Callable[[], None]


def works() -> None:
    """Return at once."""


def fails() -> None:
    """Raise, and give away a password."""
    raise ConnectionError("no route for app:hunter2")


def hangs() -> None:
    """Take longer than anyone waits."""
    time.sleep(30)


@pytest.mark.parametrize(
    ("check", "required", "status"),
    [(works, True, "ok"), (fails, False, "degraded"), (fails, True, "error")],
)
def test_status_tells_required_from_optional(check: Check, required: bool, status: str) -> None:
    report = health.run([Probe("one", "somewhere", check, required=required)])

    assert report.status == status


def test_probes_share_one_deadline() -> None:
    probes = [Probe(f"slow-{number}", "nowhere", hangs) for number in range(40)]

    started = time.monotonic()
    report = health.run([Probe("quick", "here", works), *probes], deadline=0.5)

    # One after the other they would take twenty seconds.
    assert time.monotonic() - started < 15
    assert [result.probe.name for result in report.results if not result.error] == ["quick"]


def test_a_probe_that_still_runs_is_not_joined_by_others() -> None:
    calls = []
    done = threading.Event()

    def check() -> None:
        calls.append(1)
        done.wait(20)

    probe = Probe("stuck", "nowhere", check)
    first = health.run([probe], deadline=0.5)
    second = health.run([probe], deadline=15)
    done.set()

    assert len(calls) == 1
    assert "No answer within 0.5 s." in first.table()
    assert "The last check still waits for its answer." in second.table()


def test_secrets_are_hidden() -> None:
    report = health.run([Probe("one", "somewhere", fails, secrets=("hunter2",))])

    assert "hunter2" not in report.table()
    assert "no route for app:***." in report.table()


def test_mask_hides_user_password_and_query() -> None:
    assert health.mask("https://app:hunter2@host:8443/path?key=1") == "https://host:8443/path"


def test_a_burst_shares_one_report(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    asked = threading.Event()

    def check() -> None:
        calls.append(1)
        asked.wait(20)

    monkeypatch.setattr(health, "find", lambda: [Probe("one", "somewhere", check)])
    monkeypatch.setattr(health, "_report", None)
    monkeypatch.setattr(health, "FRESH", 60)

    threads = [threading.Thread(target=health.current) for _ in range(20)]
    for thread in threads:
        thread.start()
    asked.set()
    for thread in threads:
        thread.join()

    assert len(calls) == 1
