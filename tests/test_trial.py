"""A newcomer follows the READMEs, from their first command to a change of one's own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents import commands, section
from tests.services import Process, find, free_port, until
from tools.render import ROOT

pytestmark = pytest.mark.slow

type Shell = Callable[..., str]


@pytest.fixture(scope="module")
def port() -> int:
    """Return the port that stands for 8000 here."""
    return free_port()


@pytest.fixture(scope="module")
def folder(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh copy of the template."""
    copy = tmp_path_factory.mktemp("trial") / "template"
    shutil.copytree(template, copy)
    return copy


@pytest.fixture(scope="module")
def demo(folder: Path, port: int) -> Iterator[Process]:
    """Run the first command of the template's README until it serves."""
    find("make", "make")
    first, *_ = commands((ROOT / "README.md").read_text())
    assert first == "make demo"
    process = Process(
        # As the service's README says how to take another port: this ends with its make run.
        [*first.split(), f"PORT={port}"],
        folder,
        {**os.environ, "PYTHON": sys.executable},
        folder.parent / "demo.log",
    )

    def serves() -> bool:
        assert process.running, process.output
        return f"Serving at http://127.0.0.1:{port}" in process.output

    try:
        until(serves, 600, "the demo")
        yield process
        # What Ctrl-C does.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    finally:
        process.stop()


@pytest.fixture(scope="module")
def service(demo: Process, folder: Path) -> Path:
    """Return the folder of the service that the demo has rendered."""
    return folder / "build/demo/example_service"


@pytest.fixture(scope="module")
def shell(service: Path, port: int) -> Shell:
    """Return a function that runs commands of the service's README as its reader would."""
    find("curl", "curl")

    def run(*commands: str, **variables: str) -> str:
        script = "\n".join([". .venv/bin/activate", *commands]).replace(":8000", f":{port}")
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=service,
            env={**os.environ, "PYTHON": sys.executable, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    return run


def test_a_model_is_changed_as_documented(service: Path, shell: Shell) -> None:
    """A new field gets its migration, and all checks pass (U1, T14)."""
    migrate, check, _ = commands(section((service / "README.md").read_text(), "Development"))
    model = service / "apps/notes/models.py"
    title = "    title = models.CharField("
    text = model.read_text()
    assert title in text

    model.write_text(text.replace(title, f"    done = models.BooleanField(default=False)\n{title}"))
    migrated = shell(migrate)
    checked = shell(check)

    assert "Add field done to note" in migrated
    assert "Applying notes.0002" in migrated
    assert " passed" in checked
    assert "No changes detected" in checked


def test_service_answers_as_documented(service: Path, shell: Shell) -> None:
    """What README shows of users, health and API is what comes back (U1, T14)."""
    readme = (service / "README.md").read_text()
    *_, add = commands(section(readme, "Development"))
    names = {"USERNAME": "somebody", "EMAIL": "a@example.com", "PASSWORD": "a long password"}
    variables = {f"DJANGO_SUPERUSER_{name}": value for name, value in names.items()}

    shell(f"{add} --no-input", **variables)
    health, check = [shell(command) for command in commands(section(readme, "Health"))]
    me = shell(*commands(section(readme, "API")))

    assert health.startswith('{"status": "ok", "dependencies": {"database": {"status": "ok"')
    assert check.splitlines()[0].split() == ["DEPENDENCY", "STATE", "ADDRESS", "REASON"]
    assert '"somebody"' in me
