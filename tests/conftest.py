"""Fixtures that every test may use."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.project import Project
from tests.services import Postgres, Redis, running
from tools.render import ROOT, command, options

type Cookiecutter = Callable[..., subprocess.CompletedProcess[str]]
type Projects = Callable[..., Project]


def pytest_sessionstart() -> None:
    """Ignore the signals that whoever started the tests ignores, but let no program inherit it.

    A shell that runs them in the background ignores SIGINT, and nohup SIGHUP.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


SLOW = "slow: set CI=true to run it"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave slow tests to the pipeline."""
    if os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason=SLOW))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell with each failure how the service is rendered again that a test was given."""
    report = yield
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if report.failed:
        for answers in given:
            if isinstance(answers, dict) and answers.keys() <= options().keys():
                report.sections.append(("it renders again with", command(answers)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were left out, and show what clients saw of each fault."""
    slow = [it for it in terminalreporter.getreports("skipped") if SLOW in str(it.longrepr)]
    if slow:
        terminalreporter.write_line(f"{len(slow)} slow tests are left for CI=true make test")
    reports = terminalreporter.getreports("passed")
    rows = [row for report in reports for name, row in report.user_properties if name == "fault"]
    if rows:
        terminalreporter.section("faults: answers by status, the slowest, and the recovery")
    for row in rows:
        terminalreporter.write_line(row)


@pytest.fixture(autouse=True)
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let no test that takes the whole machine run beside one that measures time."""
    if request.node.get_closest_marker("alone"):
        kind = fcntl.LOCK_EX
    elif request.node.get_closest_marker("timed"):
        kind = fcntl.LOCK_SH
    else:
        yield
        return
    # All processes of the tests have their folders in this one.
    with (tmp_path_factory.getbasetemp().parent / "machine").open("w") as file:
        fcntl.flock(file, kind)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this repository, without what git ignores and without git."""
    copy = tmp_path_factory.mktemp("template") / "copy"
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", *ignored))
    return copy


@pytest.fixture(scope="session")
def cookiecutter(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Cookiecutter:
    """Return a function that runs the cookiecutter command in an environment of its own."""
    environment = {"HOME": str(tmp_path_factory.mktemp("home")), "PATH": ""}

    def run(
        output: Path, *arguments: str, source: Path = template, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cookiecutter", str(source), "--no-input"]
        return subprocess.run(
            [*prefix, *command, "--output-dir", str(output), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run PostgreSQL."""
    with running(Postgres) as service:
        yield service


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """Run Redis."""
    with running(Redis) as service:
        yield service


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """Return a function that renders a service once for each set of answers."""
    rendered: dict[tuple[tuple[str, object], ...], Project] = {}

    def project(**answers: object) -> Project:
        key = tuple(sorted(answers.items()))
        if key not in rendered:
            rendered[key] = Project(answers, tmp_path_factory.mktemp("project"))
        return rendered[key]

    return project
