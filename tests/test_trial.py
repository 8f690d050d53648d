"""A newcomer follows the READMEs on a clean machine, from their first command to an image."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers import container, docker, require_docker, run, unique
from tests.documents import commands, section
from tests.services import find, until
from tools.render import ROOT

pytestmark = pytest.mark.slow

type Shell = Callable[..., str]

# What the README asks for, and curl, which it shows answers with.
MACHINE = """
FROM python:3.13-slim
RUN apt-get update --quiet=2 \\
    && apt-get install --quiet=2 --yes --no-install-recommends curl git make > /dev/null
RUN useradd --create-home newcomer
USER newcomer
COPY --chown=newcomer . /home/newcomer/template
WORKDIR /home/newcomer/template
"""
SERVICE = "build/demo/example_service"


@pytest.fixture(scope="module")
def computer(template: Path) -> Iterator[str]:
    """Run a container with a fresh copy of the template, and nothing that it could use unsaid."""
    require_docker()
    tag = unique("computer")
    docker("build", "--quiet", f"--tag={tag}", "--file=-", str(template), input=MACHINE)
    try:
        with container(tag, "sleep", "infinity", options=("--init",)) as name:
            yield name
    finally:
        docker("image", "rm", "--force", tag)


@pytest.fixture(scope="module")
def demo(computer: str) -> Iterator[str]:
    """Run the first command of the template's README until it serves, and end it by Ctrl-C."""
    first, *_ = commands((ROOT / "README.md").read_text())
    assert first == "make demo"
    script = f"echo $$ > ../demo.pid; exec {first} > ../demo.log 2>&1"
    docker("exec", "--detach", computer, "setsid", "sh", "-c", script)

    def said() -> str:
        return run("exec", computer, "cat", "../demo.log").stdout

    def runs() -> bool:
        return run("exec", computer, "sh", "-c", "kill -0 $(cat ../demo.pid)").returncode == 0

    def serves() -> bool:
        if "Serving at http://127.0.0.1:8000" in said():
            return True
        assert runs(), said()
        return False

    until(lambda: run("exec", computer, "test", "-s", "../demo.pid").returncode == 0, 30, "a shell")
    until(serves, 600, "the demo")
    yield computer
    docker("exec", computer, "sh", "-c", "kill -INT -$(cat ../demo.pid)")
    until(lambda: not runs(), 30, "the end of the demo")


@pytest.fixture(scope="module")
def shell(demo: str) -> Shell:
    """Return a function that runs commands of the service's README as its reader would."""

    def run_there(*commands: str, **variables: str) -> str:
        script = "\n".join(["set -e", f"cd {SERVICE}", ". .venv/bin/activate", *commands])
        environment = [f"--env={name}={value}" for name, value in variables.items()]
        done = run("exec", *environment, demo, "sh", "-c", f"exec 2>&1\n{script}", timeout=600)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    return run_there


@pytest.fixture(scope="module")
def readme(shell: Shell) -> str:
    """Return the README of the service that the demo has rendered."""
    return shell("cat README.md")


@pytest.fixture(scope="module")
def migrated(shell: Shell, readme: str) -> str:
    """Add a field to a model, and return what the documented command says to that."""
    migrate, *_ = commands(section(readme, "Development"))
    title = "    title = models.CharField("
    field = "    done = models.BooleanField(default=False)"
    shell(f"sed -i 's/^{title}/{field}\\n&/' apps/notes/models.py")
    return shell(migrate)


def test_a_model_is_changed_as_documented(shell: Shell, readme: str, migrated: str) -> None:
    """A new field gets its migration, and all checks pass (U1, T14)."""
    _, check, _ = commands(section(readme, "Development"))

    checked = shell(check)

    assert "Add field done to note" in migrated
    assert "Applying notes.0002" in migrated
    assert " passed" in checked
    assert "No changes detected" in checked


def test_service_answers_as_documented(shell: Shell, readme: str) -> None:
    """What README shows of users, health and API is what comes back (U1, T14)."""
    *_, add = commands(section(readme, "Development"))
    names = {"USERNAME": "somebody", "EMAIL": "a@example.com", "PASSWORD": "a long password"}
    variables = {f"DJANGO_SUPERUSER_{name}": value for name, value in names.items()}

    shell(f"{add} --no-input", **variables)
    health, check = [shell(command) for command in commands(section(readme, "Health"))]
    api = section(readme, "API")
    answers = shell(*commands(api))

    assert health.startswith('{"status": "ok", "dependencies": {"database": {"status": "ok"')
    assert check.splitlines()[0].split() == ["DEPENDENCY", "STATE", "ADDRESS", "REASON"]
    assert '"somebody"' in answers
    (errors,) = re.findall(r'(?m)^    {"type".+"status": (422, "errors": .+)$', api)
    assert errors in answers


@pytest.mark.usefixtures("migrated")
def test_an_image_is_built_of_what_was_changed(demo: str, readme: str, tmp_path: Path) -> None:
    """The folder of a service that was worked on makes an image that holds the work (U1, D1)."""
    build, *_ = commands(section(readme, "Deployment"))
    assert build == "make image"
    docker("cp", f"{demo}:/home/newcomer/template/{SERVICE}", str(tmp_path))
    tag = unique("trial")

    # A client of Docker is the one thing that this clean machine lacks.
    done = subprocess.run(
        [find("make", "make"), "image", f"IMAGE={tag}"],
        cwd=tmp_path / "example_service",
        capture_output=True,
        text=True,
        timeout=900,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    try:
        migrations = docker("run", "--rm", "--entrypoint=ls", tag, "apps/notes/migrations")
        assert "0002_note_done.py" in migrations
    finally:
        docker("image", "rm", "--force", tag)
