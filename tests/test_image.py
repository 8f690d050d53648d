"""The image of a service: what it holds, how it starts and how it stops."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.containers import (
    HARDENED,
    PRODUCTION,
    container,
    docker,
    get,
    healthy,
    image,
    inspect,
    network,
    postgres,
    require_docker,
    run,
    unique,
)
from tests.services import until
from tools.render import options

pytestmark = pytest.mark.slow

SMALLEST = {
    "api": "none",
    "use_redis": False,
    "use_prometheus": False,
}
LARGEST = {
    "python_version": "3.14",
    "server": "daphne",
    "api": "drf",
    "task_queue": "rabbitmq",
    "use_elasticsearch": True,
    "static_files": "s3",
    "error_tracking": "sentry",
    "use_dbbackup": True,
}
SERVICES: dict[str, dict[str, Any]] = {
    "default": {},
    "smallest": SMALLEST,
    "largest": LARGEST,
    **{server: {"server": server} for server in options()["server"][1:]},
    # Daphne's image leaves things out that this one has.
    "uvicorn": {**LARGEST, "server": "uvicorn"},
}
# An official slim base has about 120 MB; what counts is what a service adds to it.
BUDGETS = {"default": 175 - 120, "largest": 225 - 120, "uvicorn": 225 - 120}


class Images:
    """The images of these tests, each built when the first test asks for it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.tags: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self.tags:
            version = ("--build-arg=VERSION=1.2.3", "--build-arg=COMMIT=abcdef")
            built = image(SERVICES[name], self.folder / name, *version)
            self.tags[name] = self.stack.enter_context(built)
        return self.tags[name]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Return the images of these tests by name."""
    require_docker()
    with ExitStack() as stack:
        yield Images(tmp_path_factory.mktemp("images"), stack)


@pytest.fixture(scope="module")
def net() -> Iterator[str]:
    """Return a network with every server that a service may need."""
    require_docker()
    with ExitStack() as stack:
        name = stack.enter_context(network())
        stack.enter_context(postgres(name))
        for tag in ("redis:8", "rabbitmq:4", "elasticsearch:9"):
            alias = tag.partition(":")[0]
            place = (f"--network={name}", f"--network-alias={alias}")
            stack.enter_context(container(tag, options=place))
        yield name


@pytest.mark.parametrize("name", SERVICES)
def test_hardened_container_serves_and_stops_cleanly(images: Images, net: str, name: str) -> None:
    """A read-only container without capabilities serves by its own command and stops (D1, H9)."""
    place = (f"--network={net}", *HARDENED)
    server = SERVICES[name].get("server", options()["server"][0])
    # Migrating also sends the static files to S3, which is not here.
    migrate = "off" if SERVICES[name].get("static_files") == "s3" else "on"
    variables = {**PRODUCTION, "DJANGO_MANAGEPY_MIGRATE": migrate}

    with container(images[name], options=place, environment=variables) as service:
        until(lambda: healthy(service), 60, "A healthy container")
        status, body = get(service, "/health")
        user = docker("exec", service, "id")
        first = docker("exec", service, "cat", "/proc/1/cmdline").replace("\0", " ")
        write = run("exec", service, "touch", "/app/manage.py", "/app/new", "/venv/new")
        began = time.monotonic()
        docker("stop", "--time=30", service)
        seconds = time.monotonic() - began
        state = inspect("container", service)["State"]

    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert user.startswith("uid=10001(app) gid=10001(app)")
    assert {"uvicorn": "gunicorn"}.get(server, server) in first
    assert "docker-entrypoint" not in first
    assert write.stderr.count("cannot touch") == 3
    assert seconds < 25
    assert (state["ExitCode"], state["OOMKilled"]) in {(0, False), (143, False)}


def test_code_belongs_to_root(images: Images) -> None:
    """The service may not write its own code where the file system is writable either (D1)."""
    with container(images["default"], "sleep", "60", options=("--entrypoint=",)) as service:
        write = run("exec", service, "touch", "/app/manage.py", "/app/new", "/venv/new")
        config = inspect("image", images["default"])["Config"]

    assert write.stderr.count("cannot touch") == 3
    assert config["User"] == "10001:10001"


@pytest.mark.parametrize("name", BUDGETS)
def test_image_stays_within_budget(images: Images, name: str) -> None:
    """What a service adds to the base image fits into the budget (D2)."""
    version = SERVICES[name].get("python_version", options()["python_version"][0])
    base = inspect("image", f"python:{version}-slim")["Size"] / 1e6

    own = inspect("image", images[name])["Size"] / 1e6 - base

    print(f"{name}: base {base:.1f} MB, own layers {own:.1f} MB")
    assert own <= BUDGETS[name]


@pytest.mark.parametrize("name", BUDGETS)
def test_a_service_holds_its_own_budget(images: Images, name: str) -> None:
    """`make image-size` leaves an owner 10 MB more than the template allows itself (D2, D7)."""
    command = ["make", "image-size", f"IMAGE={images[name]}"]

    done = subprocess.run(command, cwd=images.folder / name, capture_output=True, text=True)
    fails = subprocess.run([*command, "IMAGE_LIMIT=1"], cwd=images.folder / name).returncode

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"may add {BUDGETS[name] + 10} MB\n" in done.stdout
    assert fails


@pytest.mark.parametrize("name", ["default", "uwsgi"])
def test_a_start_compiles_hardly_anything(images: Images, name: str) -> None:
    """The image holds the bytecode of what a start loads: to compile it takes as long (P2)."""
    variables = {**PRODUCTION, "STARTUP_CHECKS": "off"}
    place = [f"--env={key}={value}" for key, value in variables.items()]
    load = ("python", "-v", "-c", "import config.wsgi, apps.common.probes.redis")

    done = run("run", "--rm", *place, "--entrypoint=", images[name], *load)

    assert done.returncode == 0, done.stderr[-2000:]
    read = re.findall(r"^# (/venv/\S+\.pyc) matches", done.stderr, re.MULTILINE)
    compiled = re.findall(r"^# code object from (/venv/\S+\.py)$", done.stderr, re.MULTILINE)
    assert len(read) > 500
    assert len(compiled) < 10, compiled


@pytest.mark.parametrize("name", ["default", "largest"])
def test_image_holds_nothing_unneeded(images: Images, name: str) -> None:
    """No compiler, test, translation source, cache or secret is in the image (D1)."""
    unwanted = (
        r"/app/(tests|conftest|\.git|\.env|README|Makefile|Dockerfile|compose|deploy|requirements-dev)"
        r"|/app/.*/(tests|__pycache__)$|/venv/.*\.(a|pxd|pyx)$|/var/lib/apt/lists/.*_.*"
        r"|/bin/(gcc|cc|make|uv)$|/venv/.*/(pip|tests)$|/venv/.*\.(po|map)$|/root/\.cache"
        r"|\.sqlite3$"
    )

    place = ("--rm", "--user=0", "--entrypoint=find")
    found = docker(
        "run",
        *place,
        images[name],
        "/",
        "-xdev",
        "-regextype",
        "egrep",
        "-regex",
        f".*({unwanted}).*",
        "-print",
    )

    assert found == ""


def test_image_says_what_it_was_made_from(images: Images) -> None:
    """Labels and version.json carry the build arguments (D1, H7)."""
    labels = inspect("image", images["default"])["Config"]["Labels"]
    version = docker("run", "--rm", "--entrypoint=cat", images["default"], "version.json")

    assert labels["org.opencontainers.image.title"] == "Example Service"
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == "abcdef"
    assert json.loads(version) == {
        "source": "",
        "version": "1.2.3",
        "commit": "abcdef",
        "build": "",
    }


def test_code_change_keeps_all_layers_but_its_own(images: Images, tmp_path: Path) -> None:
    """A change of the code rebuilds no dependency, and so in seconds (D1)."""
    before = inspect("image", images["default"])["RootFS"]["Layers"]
    folder = images.folder / "default"
    (folder / "apps/common/new.py").write_text('"""A change."""\n')

    tag = unique("changed")
    began = time.monotonic()
    docker("build", "--quiet", "--tag", tag, "--build-arg=VERSION=1.2.4", str(folder))
    seconds = time.monotonic() - began
    after = inspect("image", tag)["RootFS"]["Layers"]
    docker("image", "rm", "--force", tag)

    assert len(set(after) - set(before)) <= 3
    assert before[:-3] == after[:-3]
    assert seconds < 240


def test_two_containers_migrate_an_empty_database_once(images: Images) -> None:
    """Of two containers that start at once, one migrates and the other waits; both serve (D3)."""
    variables = {**PRODUCTION, "DJANGO_MANAGEPY_MIGRATE": "on"}

    with ExitStack() as stack:
        net = stack.enter_context(network())
        stack.enter_context(postgres(net))
        place = (f"--network={net}", *HARDENED)
        both = [
            stack.enter_context(container(images["smallest"], options=place, environment=variables))
            for _ in range(2)
        ]
        for service in both:
            until(lambda service=service: healthy(service), 120, "A healthy container")
        answers = [get(service, "/health")[0] for service in both]
        logs = [docker("logs", service) for service in both]

    assert answers == [200, 200]
    assert sum("Applying users.0001_initial" in log for log in logs) == 1
    assert sum("No migrations to apply" in log for log in logs) == 1


def test_missing_variables_end_the_container_with_one_message(images: Images) -> None:
    """A container without its variables says once which are missing, and ends (S3)."""
    done = run("run", "--rm", *HARDENED, images["default"])

    assert done.returncode not in {0, 125, 126, 127}
    assert done.stderr.count("This service cannot start until") == 1
    assert all(name in done.stderr for name in ("SECRET_KEY", "DATABASE_URL", "EMAIL_HOST"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("migrate", ["off", "on"])
@pytest.mark.parametrize("name", ["default", *options()["server"][1:]])
def test_stop_ends_the_wait_for_a_dependency(images: Images, name: str, migrate: str) -> None:
    """A container that waits for its database ends at once when it is told to (D3)."""
    variables = {**PRODUCTION, "STARTUP_TIMEOUT": "300", "DJANGO_MANAGEPY_MIGRATE": migrate}

    with container(images[name], options=HARDENED, environment=variables) as service:
        logs = ("logs", service)
        until(lambda: "Waiting up to" in run(*logs).stdout + run(*logs).stderr, 60, "The wait")
        began = time.monotonic()
        docker("stop", "--time=30", service)
        seconds = time.monotonic() - began

    assert seconds < 25


def test_container_waits_for_its_database(images: Images) -> None:
    """A container that starts before its database serves once that is there (D3, H3)."""
    variables = {**PRODUCTION, "DJANGO_MANAGEPY_MIGRATE": "on", "STARTUP_TIMEOUT": "150"}

    with network() as net:
        place = (f"--network={net}", *HARDENED)
        with container(images["smallest"], options=place, environment=variables) as service:
            logs = ("logs", service)
            until(lambda: "Waiting up to" in run(*logs).stdout + run(*logs).stderr, 60, "The wait")
            with postgres(net):
                until(lambda: healthy(service), 120, "A healthy container")
                answer = get(service, "/health")

    assert answer[0] == 200
