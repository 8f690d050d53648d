"""A server starts only with its dependencies, or says which are missing."""

import logging

import pytest
from django.core.management import call_command
from pytest_django import Settings

from apps.common import health, startup
from apps.common.health import Probe, Report, Result


def report(*, required: bool) -> Report:
    """Return a report of one dependency that is down."""
    probe = Probe("one", "10.0.0.1:1", lambda: None, required=required, hint="Switch it on.")
    return Report((Result(probe, 0.1, "connection refused."),))


def test_a_required_dependency_ends_the_process_with_the_table(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.STARTUP_TIMEOUT = 0
    settings.STARTUP_CHECKS = "strict"
    monkeypatch.setattr(health, "run", lambda found: report(required=True))

    with pytest.raises(SystemExit) as stopped:
        startup.check()

    assert stopped.value.code == 3
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert " ".join(last.split()) == "one DOWN 10.0.0.1:1 connection refused. Switch it on."


@pytest.mark.django_db
def test_an_optional_dependency_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STARTUP_CHECKS = "strict"
    monkeypatch.setattr(health, "run", lambda found: report(required=False))
    monkeypatch.setattr(startup, "warn_of_unapplied_migrations", lambda: None)

    startup.check()

    assert "Starting without one at 10.0.0.1:1" in caplog.text


@pytest.mark.parametrize(("mode", "warnings"), [("warn", 1), ("off", 0)])
def test_checks_can_be_relaxed(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    warnings: int,
) -> None:
    settings.STARTUP_CHECKS = mode
    monkeypatch.setattr(health, "run", lambda found: report(required=True))

    startup.check()

    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == warnings


@pytest.mark.django_db
def test_check_dependencies_prints_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check_dependencies")

    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["database", "ok"]
