"""The lock holds exactly what each service needs, and it installs."""

import os
import random
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project import PRODUCTION, Project
from tests.services import find, missing
from tools import lock, render
from tools.render import ROOT, Answers, command, full_product, largest, pairwise, smallest

FILES = ("requirements.txt", "requirements-dev.txt")
UPDATE = "requirements-update.txt"
SERVICES = {"smallest": smallest(), "default": {}, "largest": largest()}
PIN = re.compile(r"^([a-z0-9.-]+)==([^\s;]+)(?: ; (.+?))?(?: \\)?$", re.MULTILINE)
LINE = re.compile(
    r"#.*|--requirement requirements\.txt"
    r"|[a-z0-9.-]+==[\w.]+( ; [\w .'=<>]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?"
)

# What another package loads if it is there, and a server that is a program.
LOADED = {"hiredis", "httptools", "packaging", "pyuwsgi", "uvloop"}

type Target = dict[str, str]


def text(answers: Answers, name: str) -> str:
    """Return a file of a service."""
    return render.render(answers, only=name)[name][1].decode()


def both(answers: Answers) -> str:
    """Return what a development machine of a service installs."""
    run, dev = (text(answers, name) for name in FILES)
    assert dev.splitlines()[1] == lock.INCLUDE.strip()
    return run + dev


def pins(requirements: str, target: Target) -> dict[str, str]:
    """Return the version of each package that is installed on a platform and Python."""
    return {
        name: version
        for name, version, marker in PIN.findall(requirements)
        if not marker or Marker(marker).evaluate(target)
    }


def direct(project: str, *, dev: bool) -> list[Requirement]:
    """Return the requirements in a pyproject.toml."""
    content = tomllib.loads(project)
    lines = content["project"]["dependencies"]
    return [Requirement(line) for line in lines + (content["dependency-groups"]["dev"] * dev)]


def resolve(requirements: list[Requirement], locked: dict[str, str], target: Target) -> set[str]:
    """Return every package that is needed, by what those in this environment say they need."""
    found: set[tuple[str, str]] = set()
    todo = list(requirements)
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not locked for {target}"
        assert requirement.specifier.contains(locked[name]), f"{requirement}: {locked[name]}"
        for extra in {"", *requirement.extras} - {extra for known, extra in found if known == name}:
            found.add((name, extra))
            further = map(Requirement, needs(name, locked[name]))
            todo += [
                other
                for other in further
                if not other.marker or other.marker.evaluate({**target, "extra": extra})
            ]
    return {name for name, _ in found}


@cache
def needs(name: str, version: str) -> list[str]:
    """Return what a package says it needs; one for another platform or Python needs nothing."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return []
    assert package.version == version, f"{name} {package.version} is installed: make install"
    return package.requires or []


@pytest.mark.parametrize("answers", pairwise(), ids=command)
def test_lock_is_what_resolves(answers: Answers) -> None:
    """Nothing is missing, superfluous or out of range, on any platform and Python (T12)."""
    project = text(answers, "pyproject.toml")
    for target in lock.TARGETS:
        run, dev = (pins(text(answers, name), target) for name in FILES)

        needed = resolve(direct(project, dev=False), run, target)
        everything = resolve(direct(project, dev=True), run | dev, target)

        assert needed == run.keys()
        assert everything == run.keys() | dev.keys()
        assert {name: run[name] for name in run.keys() & dev} == {
            name: dev[name] for name in run.keys() & dev
        }


@pytest.mark.parametrize("answers", [*pairwise(), smallest(), {}, largest()], ids=command)
def test_each_direct_dependency_is_used(answers: Answers) -> None:
    """Nothing is installed that no code, no server's configuration and no image names (T12)."""
    used = "\n".join(
        content.decode()
        for name, (_, content) in render.render(answers).items()
        if name.endswith((".py", ".ini", "Dockerfile"))
    )

    unused = {
        name
        for name in map(to_name, direct(text(answers, "pyproject.toml"), dev=False))
        if not any(re.search(rf"\b{module}\b", used) for module in modules()[name])
    }
    assert unused <= LOADED


def to_name(requirement: Requirement) -> str:
    """Return the name of what is required, as it stands in a lock."""
    return canonicalize_name(requirement.name)


@cache
def modules() -> dict[str, set[str]]:
    """Return the modules that each package of this environment brings."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, packages in packages_distributions().items():
        for package in packages:
            found[canonicalize_name(package)].add(module)
    return found


def test_lock_of_the_template_is_what_resolves() -> None:
    """The template's tools are locked, and beside them what the services need (T12)."""
    project = (ROOT / "pyproject.toml").read_text()
    of_services = [
        requirement
        for answers in pairwise()
        for requirement in direct(text(answers, "pyproject.toml"), dev=True)
    ]
    for target in lock.TARGETS:
        run, dev = (pins((ROOT / name).read_text(), target) for name in FILES)

        tools = resolve(direct(project, dev=False), run, target)
        everything = resolve(direct(project, dev=True) + of_services, dev, target)

        assert tools == run.keys()
        assert everything == dev.keys()


def test_lock_of_the_update_holds_cruft_at_its_lower_bound() -> None:
    """What a service follows its template with is locked at the version that was tested (T12)."""
    project = tomllib.loads(text({}, "pyproject.toml"))
    (wanted,) = project["dependency-groups"]["update"]

    locked = pins(text({}, UPDATE), lock.TARGETS[0])

    assert wanted == f"cruft>={locked['cruft']}"
    assert {"cookiecutter", "gitpython", "jinja2"} <= locked.keys()


@pytest.mark.parametrize("answers", pairwise(), ids=command)
def test_lower_bounds_are_the_locked_versions(answers: Answers) -> None:
    """A direct dependency is at least the version that was tested (T12)."""
    requirements = direct(text(answers, "pyproject.toml"), dev=True)
    locked = pins(both(answers), lock.TARGETS[0])

    bounds = {
        canonicalize_name(requirement.name): [
            specifier.version
            for specifier in requirement.specifier
            if specifier.operator in (">=", "==")
        ]
        for requirement in requirements
    }

    assert bounds == {name: [locked[name]] for name in bounds}


@pytest.mark.parametrize("name", FILES)
def test_lock_holds_pins_and_hashes_only(name: str) -> None:
    """There is no address in a lock, and each pin has its hashes (T12)."""
    locks = [(ROOT / name).read_text(), *(text(answers, name) for answers in pairwise())]
    locks.append(text({}, UPDATE))

    for locked in locks:
        lines = locked.splitlines()
        odd = [line for line in lines if not LINE.fullmatch(line)]
        bare = [line for line in lines if "==" in line and not line.endswith("\\")]

        assert not odd
        assert not bare


def test_no_file_names_a_package_index() -> None:
    """No registry's address is in a file under version control (T12)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    option = re.compile(rb"(index-url|find-links|index)[ =\"']+[a-z]+://")

    found = [
        name
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file() and option.search((ROOT / name).read_bytes())
    ]

    assert not found


def interpreter(version: str) -> str:
    """Return a Python of a version that can be found on this machine, or skip."""
    places = [Path(place) for place in os.environ["PATH"].split(os.pathsep)]
    places += sorted((Path.home() / ".pyenv/versions").glob(f"{version}*/bin"), reverse=True)
    for place in places:
        if (place / f"python{version}").exists() and ".pyenv/shims" not in str(place):
            return str(place / f"python{version}")
    missing(f"Python {version}: install it so that python{version} is on PATH")
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("version", ["3.12", "3.13"])
@pytest.mark.parametrize("service", SERVICES)
def test_lock_installs_and_the_service_answers(
    service: str, version: str, installer: str, tmp_path: Path
) -> None:
    """In an empty environment the lock installs, fits together and serves /health (T12, H5)."""
    install_and_ask(SERVICES[service], version, installer, tmp_path, dev=service == "default")


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_any_lock_installs_and_the_service_answers(installer: str, tmp_path: Path) -> None:
    """So does that of a combination which is another one in each run (T12, H5)."""
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    answers = random.Random(seed).choice(full_product())
    print(f"SEED={seed}: {command(answers)}")

    install_and_ask(answers, "3.13", installer, tmp_path)


def install_and_ask(
    answers: Answers, version: str, installer: str, tmp_path: Path, *, dev: bool = False
) -> None:
    """Fail unless the lock of a service installs by itself, and the service answers then."""
    project = Project(answers, tmp_path / "service")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip"]
    uv = [find("uv", "uv", folders=(str(Path(sys.executable).parent),)), "pip"]
    # What is never imported need not be compiled.
    install, inspect = {
        "pip": (
            [*pip, "install", "--no-compile", "--require-hashes", "--requirement"],
            [*pip, "check"],
        ),
        "uv": (
            [*uv, "sync", "--require-hashes", "--python", str(python)],
            [*uv, "check", "--python", str(python)],
        ),
    }[installer]

    options = ["--without-pip"] if installer == "uv" else []
    subprocess.run([interpreter(version), "-m", "venv", *options, tmp_path / "venv"], check=True)
    for name in reversed(FILES) if dev else FILES[:1]:
        subprocess.run([*install, project.folder / name], check=True, timeout=900)
    consistent = subprocess.run(inspect, capture_output=True, text=True)
    variables = PRODUCTION | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DEBUG": "true",
        "PYTHONDONTWRITEBYTECODE": "",
        # What is not in the empty environment must not be found elsewhere.
        "PATH": f"{python.parent}{os.pathsep}{os.defpath}",
    }

    assert consistent.returncode == 0, consistent.stdout + consistent.stderr
    with project.serve(variables) as server:
        answer = server.get("/health")
        assert answer.status_code == 200, answer.text
        assert answer.json()["dependencies"]["database"]["status"] == "ok"
