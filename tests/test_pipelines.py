"""The pipelines of a service: what they promise, and that each of their commands works."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers import docker, require_docker, unique
from tests.services import Postgres, RabbitMQ, Redis, find, running
from tools.render import Answers, options, pairwise, render, write

WORKFLOWS = tuple(f".github/workflows/{name}.yaml" for name in ("ci", "release", "template"))
# The job that follows the template: tests/test_upgrade.py runs its commands.
FOLLOWING = {"github": "update", "gitlab": "template"}
# The forge of each service whose commands are run, and what else it is rendered with.
SERVICES: dict[str, Answers] = {
    "github": {"task_queue": "rabbitmq"},
    "gitlab": {"task_queue": "redis", "api": "drf"},
}
# What cannot be run where there is no registry, no forge and no Alpine; all else is.
ELSEWHERE = {
    r"apk add ": "installs packages of Alpine",
    r"printenv \w+ \| docker login ": "signs in to the forge's registry",
    r"docker context create ": "names the engine that a runner of GitLab brings",
    r"docker buildx create ": "downloads BuildKit's own image",
    r"make publish ": "pushes to the forge's registry",
    r"echo \"name=ghcr.io/": "reads the digest of what was pushed",
    r"gh pr create ": "opens a pull request at the forge",
    r"gh release create ": "makes a release at the forge",
    r"echo \"Releasing ": "stands in for a script where the forge itself makes the release",
}


@dataclass(frozen=True)
class Job:
    """A job of a pipeline: its commands, their variables and the servers beside them."""

    name: str
    commands: tuple[str, ...]
    variables: dict[str, str]
    servers: tuple[str, ...]


def workflows(answers: Answers) -> dict[str, Any]:
    """Return the workflows of a service for GitHub by their path."""
    files = render(answers)
    return {path: yaml.safe_load(files[path][1]) for path in WORKFLOWS}


def jobs(answers: Answers) -> Iterator[Job]:
    """Yield every job of a service's pipeline."""
    if answers["ci"] == "github":
        for workflow in workflows(answers).values():
            for name, job in workflow["jobs"].items():
                commands = (step["run"] for step in job.get("steps", []) if "run" in step)
                servers = (server["image"] for server in job.get("services", {}).values())
                yield Job(name, tuple(commands), job.get("env", {}), tuple(servers))
        return
    text = render(answers, only=".gitlab-ci.yml")[".gitlab-ci.yml"][1]
    pipeline = yaml.safe_load(text)
    for name, job in pipeline.items():
        if isinstance(job, dict) and "script" in job:
            before = pipeline[job["extends"]].get("before_script", []) if "extends" in job else []
            servers = (server["name"] for server in job.get("services", []))
            yield Job(name, (*before, *job["script"]), job.get("variables", {}), tuple(servers))


def elsewhere(command: str) -> bool:
    """Return whether a command needs what is not here."""
    return any(re.match(start, command) for start in ELSEWHERE)


@pytest.mark.parametrize("answers", [it for it in pairwise() if it["ci"] == "github"])
def test_workflows_may_do_little_and_end_in_time(answers: Answers) -> None:
    """Each job states its permissions and its time, and each action its commit (D7)."""
    for path, workflow in workflows(answers).items():
        text = render(answers, only=path)[path][1].decode()
        uses = re.findall(r"uses: (?!\./)(.+)", text)

        assert workflow["permissions"] == {}
        assert uses
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", it) for it in uses)
        for name, job in workflow["jobs"].items():
            assert job["permissions"], name
            assert "uses" in job or job["timeout-minutes"] <= 30, name
            for step in job.get("steps", []):
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("answers", [it for it in pairwise() if it["ci"] != "none"])
def test_pipelines_do_the_same_at_both_forges(answers: Answers) -> None:
    """Lint, checks, tests, audit, image, its size and a release are in either pipeline (D7)."""
    commands = [command for job in jobs(answers) for command in job.commands]
    (test,) = (job for job in jobs(answers) if job.name == "test")

    targets = {command.split()[1] for command in commands if command.startswith("make ")}
    assert {"lint", "check", "test", "audit", "image", "image-size", "publish"} <= targets
    assert any(server.startswith("postgres:") for server in test.servers)
    for option, value, image in (
        ("use_redis", True, "redis:"),
        ("task_queue", "redis", "redis:"),
        ("task_queue", "rabbitmq", "rabbitmq:"),
        ("use_elasticsearch", True, "docker.elastic.co/"),
    ):
        if answers[option] == value:
            assert any(server.startswith(image) for server in test.servers)


def test_published_images_carry_their_origin() -> None:
    """A release has a bill of materials and provenance, on a tag that passed all checks (D7)."""
    makefile = render({}, only="Makefile")["Makefile"][1].decode()
    release = workflows({"ci": "github"})[WORKFLOWS[1]]

    assert re.search(r"buildx build .*--sbom=true .*--provenance=mode=max", makefile)
    # YAML 1.1 takes the key "on" for true.
    assert release[True] == {"push": {"tags": ["v*"]}}
    assert release["jobs"]["ci"]["uses"] == f"./{WORKFLOWS[0]}"
    assert release["jobs"]["release"]["needs"] == "ci"


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Run RabbitMQ."""
    with running(RabbitMQ) as service:
        yield service


@pytest.fixture
def servers(postgres: Postgres, redis: Redis, rabbitmq: RabbitMQ) -> dict[str, str]:
    """Return the addresses of real servers, by the variables that name them."""
    return {
        "DATABASE_URL": postgres.database(),
        "REDIS_URL": redis.url(),
        "amqp": rabbitmq.url(),
        "redis": redis.url(1),
    }


def substitute(variables: dict[str, str], servers: dict[str, str]) -> dict[str, str]:
    """Return the variables of a job with the addresses of the servers that are here."""
    known = {name: servers.get(name, value) for name, value in variables.items()}
    if url := variables.get("CELERY_BROKER_URL"):
        known["CELERY_BROKER_URL"] = servers[url.partition(":")[0]]
    return known


def run(
    command: str, folder: Path, image: str, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Return how a command of a job has ended, which may ask PyPI more than once."""
    for _ in range(5):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env={**os.environ, "IMAGE": image, "PYTHON": sys.executable, **variables},
            capture_output=True,
            text=True,
            timeout=600,
        )
        # That of pip-audit when PyPI is too busy to say what it knows of a package.
        if "ServiceError" not in done.stderr:
            break
        time.sleep(10)
    return done


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("forge", [forge for forge in options()["ci"] if forge != "none"])
def test_commands_of_pipelines_work(forge: str, servers: dict[str, str], tmp_path: Path) -> None:
    """Every command does its work on a freshly committed service, with real servers (D7)."""
    require_docker()
    answers = {**SERVICES[forge], "ci": forge}
    write(answers, tmp_path)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=First"]):
        author = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run([find("git", "git"), *author, *command], cwd=tmp_path, check=True)
    image = unique("pipeline")
    ran = []

    try:
        for job in jobs(answers):
            for command in job.commands:
                if elsewhere(command) or job.name == FOLLOWING[forge]:
                    continue
                done = run(command, tmp_path, image, substitute(job.variables, servers))
                assert done.returncode == 0, (
                    f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
                )
                ran.append(command)
    finally:
        docker("image", "rm", "--force", image)

    assert {"make lint", "make check", "make test", "make audit", "make image"} <= set(ran)
    assert any("check_dependencies" in command for command in ran)


@pytest.mark.parametrize("forge", [forge for forge in options()["ci"] if forge != "none"])
def test_excuses_are_needed(forge: str) -> None:
    """What is said to work elsewhere only is little, and belongs to a release (D7)."""
    excused = [
        (job.name, command)
        for job in jobs({**SERVICES[forge], "ci": forge})
        for command in job.commands
        if elsewhere(command)
    ]

    assert {name for name, command in excused if not command.startswith("apk ")} <= {
        "notes",
        "release",
        "update",
    }
