"""The whole service as Compose brings it up from a fresh render, without an edit."""

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.containers import docker, require_docker, unique
from tests.services import S3, free_port, running, until
from tools.render import largest, render, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SERVICES: dict[str, dict[str, Any]] = {
    "default": {},
    "database": {"task_queue": "database", "api": "none", "use_redis": False},
    "redis": {"task_queue": "redis", "server": "uwsgi"},
    "largest": {
        "python_version": "3.14",
        "server": "uvicorn",
        "api": "drf",
        "task_queue": "rabbitmq",
        "use_elasticsearch": True,
        "static_files": "nginx",
        "error_tracking": "sentry",
        "use_dbbackup": True,
    },
}


class Project:
    """A rendered service that Compose runs, under a name and at a port of its own."""

    def __init__(self, answers: dict[str, Any], folder: Path) -> None:
        write(answers, folder)
        self.answers = answers
        self.folder = folder
        self.name = unique("compose")
        self.port = free_port()
        self.variables = {
            "COMPOSE_PROJECT_NAME": self.name,
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PORT": str(self.port),
        }

    def compose(self, *arguments: str) -> str:
        """Return what a command of Compose prints."""
        return self.run("docker", "compose", *arguments)

    def run(self, *command: str) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{done.stderr[-2000:]}{self.logs()[-5000:]}"
        return done.stdout

    def logs(self, *services: str) -> str:
        """Return what containers logged."""
        command = ["docker", "compose", "logs", "--no-color"]
        done = subprocess.run(
            [*command, *services],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def get(self, path: str, **headers: str) -> tuple[int, Message, bytes]:
        """Return status, headers and body of a path."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def left(self) -> str:
        """Return the containers, volumes and networks that bear the name of this project."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        return "".join(
            docker(*kind, "--quiet", label)
            for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        )


@contextmanager
def brought_up(answers: dict[str, Any], folder: Path, **variables: str) -> Iterator[Project]:
    """Yield a freshly rendered service that Compose has brought up, and remove it."""
    require_docker()
    answers = {**answers, "project_slug": unique("service").replace("-", "_")}
    project = Project(answers, folder)
    project.variables |= variables
    try:
        project.run("make", "up")
        yield project
    finally:
        project.compose("--profile", "*", "down", "--volumes", "--rmi=local", "--remove-orphans")
        docker("image", "rm", "--force", answers["project_slug"].replace("_", "-"))


@pytest.fixture(scope="module", params=SERVICES)
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Return each service in turn."""
    with brought_up(SERVICES[request.param], tmp_path_factory.mktemp("compose")) as project:
        yield project


def test_service_answers_and_shows_its_admin(project: Project) -> None:
    """One command brings up a healthy service whose pages find their static files (D4, S7)."""
    health = project.get("/health")
    status, _, page = project.get("/admin/login/")
    paths = re.findall(r"(?:href|src)=\"(/static/[^\"]+)", page.decode())
    files = [project.get(path, **{"Accept-Encoding": "gzip"}) for path in paths]

    assert (health[0], b'"status": "ok"' in health[2]) == (200, True)
    assert status == 200
    assert paths
    assert {status for status, _, _ in files} == {200}
    assert all("immutable" in headers["Cache-Control"] for _, headers, _ in files)
    assert any(headers["Content-Encoding"] == "gzip" for _, headers, _ in files)


def test_unknown_host_is_answered_for_its_health_only(project: Project) -> None:
    """A foreign Host gets the health paths and nothing else (S4, H6)."""
    statuses = [project.get(path, Host="other.example")[0] for path in ("/health", "/admin/login/")]

    assert statuses[0] == 200
    assert statuses[1] in {400, 421}


def test_migrations_ran_once_and_nothing_is_public(project: Project) -> None:
    """One container migrates; only the front is published, on the loopback address (D4)."""
    lines = project.logs().splitlines()
    ports = project.compose("ps", "--format", "{{.Ports}}")

    assert sum("Applying users.0001_initial" in line for line in lines) == 1
    assert re.findall(r"(\S+):\d+->", ports) == ["127.0.0.1"]


def test_every_container_of_the_service_is_confined(project: Project) -> None:
    """Containers run without capabilities, privileges and a writable root file system (D1, D4)."""
    names = project.compose("ps", "--all", "--quiet").split()
    form = "{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}}"

    found = {
        docker("inspect", "--format", form, name)
        for name in names
        if "elasticsearch" not in docker("inspect", "--format", "{{.Name}}", name)
    }

    assert found == {"[ALL] [no-new-privileges:true] true"}


def test_compose_hands_on_what_readme_says_to_set() -> None:
    """E-mail and the rules for browsers are decided by whoever runs the containers (D4, S2)."""
    files = render(largest())
    known = re.findall(rb"(?m)^(?:# )?((?:EMAIL|SECURE)_\w+)=", files[".env.example"][1])

    environment = yaml.safe_load(files["compose.yaml"][1])["x-service"]["environment"]

    assert len(known) > 5
    assert {name.decode() for name in known} <= environment.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_says_its_version(name: str, tmp_path: Path) -> None:
    """What git says of the version is built in, by Compose as by Docker alone (D4, H7)."""
    write(SERVICES[name], tmp_path)
    services = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"].values()
    (known,) = re.findall(r"(?m)^ARG (SOURCE=.+)$", (tmp_path / "Dockerfile").read_text())
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text("#!/bin/sh\nenv\n")
    (programs / "docker").chmod(0o755)
    identity = ("-c", "user.name=Team", "-c", "user.email=team@example.com")
    for command in (["init"], [*identity, "commit", "--allow-empty", "-m", "First"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["git", "tag", "v1.2.3"], cwd=tmp_path, check=True)

    told = [service["build"]["args"] for service in services if "build" in service]
    printed = [
        subprocess.run(
            ["make", target, "SOURCE=here", "BUILD=this"],
            cwd=tmp_path,
            env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        ).stdout
        for target in ("image", "publish", "up", "up-tls", "backup", "restore")
        if f"\n{target}: ##" in (tmp_path / "Makefile").read_text()
    ]

    assert told
    assert all(args == sorted(re.findall(r"(\w+)=", known)) for args in told)
    for output in printed:
        assert re.search(r"(?m)^VERSION=v1\.2\.3(-dirty)?$", output)
        assert re.search(r"(?m)^COMMIT=[0-9a-f]{40}$", output)
        assert {"SOURCE=here", "BUILD=this"} <= set(output.splitlines())


@pytest.mark.parametrize("name", SERVICES)
def test_logs_of_no_container_fill_the_disk(name: str) -> None:
    """Each container has a log that rotates, the proxy with TLS included (D4)."""
    files = render(SERVICES[name])
    services = [
        service
        for file in ("compose.yaml", "compose.tls.yaml")
        for service in yaml.safe_load(files[file][1])["services"].values()
        if "image" in service
    ]

    assert len(services) > 4
    assert {service.get("logging", {}).get("driver") for service in services} == {
        "${LOG_DRIVER:-local}"
    }


def test_worker_does_a_task(project: Project) -> None:
    """A task that the service hands over is done by the worker (D4)."""
    queue = project.answers.get("task_queue", "none")
    if queue == "none":
        assert "worker" not in project.compose("ps", "--services")
        return
    call = "enqueue" if queue == "database" else "delay"
    code = f"from apps.users.tasks import remove_expired_sessions as it; it.{call}()"

    project.compose("exec", "web", "python", "manage.py", "shell", "--command", code)

    until(lambda: re.search(r"succeeded|SUCCESSFUL", project.logs("worker")), 120, "The task")


def test_a_second_start_keeps_the_data_and_the_keys(project: Project) -> None:
    """Stopping and starting again keeps passwords, keys and the database (D4)."""
    key = ("exec", "web", "cat", "/run/secrets/SECRET_KEY", "/run/secrets/DATABASE_URL")
    before = project.compose(*key)
    shell = ("exec", "web", "python", "manage.py", "shell", "--command")
    users = "from apps.users.models import User; "
    project.compose(*shell, f"{users}User.objects.create(username='kept')")
    if project.answers.keys() == {"project_slug"}:
        project.compose("--profile", "monitoring", "up", "--wait")

    project.run("make", "down")
    left = project.compose("--profile", "monitoring", "ps", "--all", "--quiet")
    project.compose("up", "--wait")

    assert left == ""
    assert project.compose(*key) == before
    assert "1 kept" in project.compose(
        *shell, f"{users}print(User.objects.filter(username='kept').count(), 'kept')"
    )
    assert project.get("/health")[0] == 200


def test_down_leaves_nothing(project: Project) -> None:
    """Taking the service down with its volumes leaves nothing (D4)."""
    assert project.left() != ""

    project.compose("--profile", "*", "down", "--volumes")

    assert project.left() == ""


def test_static_files_go_to_a_bucket(tmp_path: Path) -> None:
    """With a bucket and its key in the environment, pages find their files there (D4, S7)."""
    require_docker()
    address = "{{(index .IPAM.Config 0).Gateway}}"
    host = docker("network", "inspect", "bridge", "--format", address)
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with running(type("Storage", (S3,), {"host": host})) as storage:
        storage.create_bucket("static")
        variables = {
            **keys,
            "AWS_S3_ENDPOINT_URL": storage.url(),
            "AWS_STORAGE_BUCKET_NAME": "static",
        }
        with brought_up({"static_files": "s3"}, tmp_path, **variables) as project:
            _, _, page = project.get("/admin/login/")
            addresses = re.findall(r"(?:href|src)=\"([^\"]+\.(?:css|js))\"", page.decode())
            files = [requests.get(address, timeout=30) for address in addresses]

    assert addresses
    assert all(address.startswith(f"{storage.url()}/static/") for address in addresses)
    assert {file.status_code for file in files} == {200}
