"""Docker, and the images that tests build: whatever is made here is removed here."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services import missing, until
from tools.render import write

HARDENED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--pids-limit=100",
)
# What any service needs in production; the tests' networks name their containers like this.
PRODUCTION = {
    "ALLOWED_HOSTS": "localhost",
    "CELERY_BROKER_URL": "amqp://rabbitmq:5672/",
    "DATABASE_URL": "postgres://postgres:secret@postgres:5432/postgres",
    "ELASTICSEARCH_URL": "http://elasticsearch:9200",
    "EMAIL_HOST": "localhost",
    "REDIS_URL": "redis://redis:6379/0",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "AWS_STORAGE_BUCKET_NAME": "static",
}


def docker(*arguments: str, timeout: float = 300, **options: Any) -> str:
    """Return what docker prints; a failure shows its error."""
    done = run(*arguments, timeout=timeout, **options)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def run(*arguments: str, timeout: float = 300, **options: Any) -> subprocess.CompletedProcess[str]:
    """Return how a docker command ended."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, **options
    )


def require_docker() -> None:
    """Skip unless a Docker Engine answers."""
    if not shutil.which("docker") or run("version").returncode:
        missing("docker: install Docker Engine 25 or newer, and start it")


def unique(what: str) -> str:
    """Return a name that no other test uses."""
    return f"template-test-{what}-{os.getpid()}-{secrets.token_hex(3)}"


@contextmanager
def image(answers: Mapping[str, Any], folder: Path, *arguments: str) -> Iterator[str]:
    """Build the image of a service, and remove it afterwards."""
    write(answers, folder)
    tag = unique("image")
    docker("build", "--quiet", "--tag", tag, *arguments, str(folder), timeout=900)
    try:
        yield tag
    finally:
        docker("image", "rm", "--force", tag)


@contextmanager
def network() -> Iterator[str]:
    """Make a network of its own."""
    name = unique("network")
    docker("network", "create", name)
    try:
        yield name
    finally:
        docker("network", "rm", name)


@contextmanager
def container(
    tag: str,
    *command: str,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Start a container, and remove it with its volumes afterwards."""
    name = unique("container")
    variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
    docker("run", "--detach", "--name", name, *options, *variables, tag, *command)
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@contextmanager
def postgres(net: str) -> Iterator[str]:
    """Start an empty PostgreSQL that the network knows as postgres."""
    options = (f"--network={net}", "--network-alias=postgres")
    with container(
        "postgres:18", options=options, environment={"POSTGRES_PASSWORD": "secret"}
    ) as it:
        ready = ("exec", it, "pg_isready", "--host=127.0.0.1", "--username=postgres")
        until(lambda: run(*ready).returncode == 0, 60, "PostgreSQL")
        yield it


def inspect(kind: str, name: str) -> dict[str, Any]:
    """Return what docker knows of a container or an image."""
    return json.loads(docker(kind, "inspect", name))[0]


def healthy(name: str) -> bool:
    """Return whether the health check of a container passes; fail if it has ended."""
    state = inspect("container", name)["State"]
    assert state["Running"], run("logs", name).stderr
    return state["Health"]["Status"] == "healthy"


def get(name: str, path: str, *options: str) -> tuple[int, str]:
    """Return status and body of a path, asked for inside the container at its PORT."""
    code = (
        "import os, sys, urllib.error, urllib.request\n"
        "address = f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}{sys.argv[1]}'\n"
        "try:\n    answer = urllib.request.urlopen(address, timeout=30)\n"
        "except urllib.error.HTTPError as error:\n    answer = error\n"
        "print(answer.status, answer.read().decode())"
    )
    status, _, body = docker("exec", *options, name, "python", "-c", code, path).partition(" ")
    return int(status), body
