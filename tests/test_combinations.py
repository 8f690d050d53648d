"""Every rendered service reads as if it was written by hand, and holds nothing it does not use.

The services are the pairwise set: any two answers to different questions meet in one of them.
"""

import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.services import find
from tools import matrix, render
from tools.checks import not_locked
from tools.render import ROOT, Answers, complete, environment, largest, options, pairwise, smallest

LISTS = ROOT / "tests" / "filelists"
# What the tool needs that a service follows its template with, and nothing of the service.
UPDATE = "requirements-update.txt"
# Words of a choice, and when a service may hold them; everywhere else they would be a trace.
WORDS = {
    r"gunicorn": "__gunicorn",
    r"uvicorn|uvloop|httptools": "server == 'uvicorn'",
    r"daphne|twisted": "server == 'daphne'",
    r"preflight|process\.checked|forked from": "server != 'daphne'",
    r"uwsgi(?!_temp_path|;)": "server == 'uwsgi'",
    r"\basgi\b": "__asgi",
    r"\bwsgi\b": "not cookiecutter.__asgi",
    r"ninja|pydantic": "api == 'ninja'",
    r"\bdrf|rest.framework|spectacular": "api == 'drf'",
    r"openapi|serializer|\bapi/v1": "api != 'none'",
    r"redis": "__redis",
    r"django.redis|redis_url": "use_redis",
    r"celery|kombu": "__celery",
    r"\"worker\"": "task_queue != 'none'",
    r"rabbit|amqps?:": "task_queue == 'rabbitmq'",
    r"tasks.db|db.worker": "task_queue == 'database'",
    r"elastic": "use_elasticsearch",
    r"whitenoise": "static_files == 'whitenoise'",
    r"nginx": "static_files == 'nginx'",
    r"\bs3\b|boto|django.storages|aws_": "__s3",
    r"structlog": "logging == 'structlog'",
    r"mozlog": "logging == 'mozlog'",
    r"sentry": "error_tracking == 'sentry'",
    r"bugsnag": "error_tracking == 'bugsnag'",
    r"prometheus|grafana|\bmetrics\b(?!:|-server)": "use_prometheus",
    r"dbbackup|backup|gpg": "use_dbbackup",
    r"github": "ci == 'github'",
    r"gitlab": "ci == 'gitlab'",
    r"kubernetes|kubectl|kustom": "use_kubernetes",
}


class Service:
    """A rendered service."""

    def __init__(self, answers: Answers, folder: Path) -> None:
        self.answers = complete(answers)
        self.folder = folder
        self.files = {name: content for name, (_, content) in render.render(answers).items()}
        render.write(answers, folder)

    def texts(self, *patterns: str) -> Iterator[tuple[str, str]]:
        """Yield name and content of the files with names that end like this."""
        for name, content in self.files.items():
            if not patterns or name.endswith(patterns):
                yield name, content.decode()

    def run(self, *command: str, **variables: str) -> str:
        """Return what is wrong according to a command, or nothing."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": path, "HOME": str(self.folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return (done.stdout or f"status {done.returncode}") if done.returncode else ""


@pytest.fixture(scope="module", params=pairwise(), ids=matrix.name)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Render a service."""
    return Service(request.param, tmp_path_factory.mktemp("service"))


def test_formatter_and_linter_find_nothing(service: Service) -> None:
    """What is rendered passes the service's own rules of format and style (T8)."""
    assert service.run("ruff", "format", "--check", "--no-cache") == ""
    assert service.run("ruff", "check", "--no-cache") == ""


def test_lines_have_no_scars(service: Service) -> None:
    """Tags leave no blank lines, no trailing spaces and one newline at the end (T8)."""
    for name, text in service.texts():
        gap = "\n\n\n\n" if name.endswith(".py") else "\n\n\n"

        assert not re.search(r"[ \t]$", text, re.MULTILINE), f"{name}: trailing spaces"
        assert gap not in text, f"{name}: blank lines at {text.partition(gap)[0][-80:]!r}"
        assert not text.startswith("\n"), f"{name} begins with a blank line"
        assert not text or re.search(r"[^\n]\n\Z", text), f"{name} does not end with one newline"
        assert name == UPDATE or "cookiecutter" not in text.lower(), (
            f"{name} speaks of cookiecutter"
        )


def test_data_files_parse(service: Service) -> None:
    """TOML, YAML, JSON and INI files hold what their readers understand (T8)."""
    for _, text in service.texts(".toml"):
        tomllib.loads(text)
    for _, text in service.texts(".yaml", ".yml"):
        assert list(yaml.compose_all(text))
    for _, text in service.texts(".json"):
        json.loads(text)
    for _, text in service.texts(".ini"):
        assert configparser.ConfigParser(strict=False, interpolation=None).read_string(text) is None


def test_shell_scripts_are_sound(service: Service) -> None:
    """The linter of shell scripts has nothing to say (T8, D10)."""
    scripts = [name for name, text in service.texts() if text.startswith("#!/bin/sh")]

    assert scripts
    assert service.run(find("shellcheck", "shellcheck"), *scripts) == ""


def test_targets_of_make_exist_and_explain_themselves(service: Service) -> None:
    """Each target has a sentence, and make knows what it would run (U2)."""
    text = (service.folder / "Makefile").read_text()
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split())
    explained = set(re.findall(r"^([a-z-]+):.* ## [A-Z]", text, re.MULTILINE))

    assert phony == explained
    assert service.run(find("make", "make"), "--dry-run", *sorted(explained)) == ""


def test_image_is_made_of_what_exists(service: Service) -> None:
    """The Dockerfile copies files that are there, and .dockerignore lets them in (D1)."""
    allowed = set(re.findall(r"^!(\S+)$", (service.folder / ".dockerignore").read_text(), re.M))
    text = (service.folder / "Dockerfile").read_text().replace("\\\n", " ")
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.*) \S+$", text, re.MULTILINE)
    sources = {path.removeprefix("./") for paths in copied for path in paths.split()} - {"."}

    assert sources
    for path in allowed | sources:
        assert (service.folder / path).exists(), f"{path} does not exist"
    for path in sources:
        assert path.partition("/")[0] in allowed, f"{path} is kept out of the image"


def test_what_was_not_chosen_leaves_no_trace(service: Service) -> None:
    """No name and no line of a file speaks of a service that is not there (T7)."""
    forbidden = [
        re.compile(words, re.IGNORECASE)
        for words, condition in WORDS.items()
        if not allows(condition)(cookiecutter=service.answers)
    ]

    traces = [
        f"{name}: {line.strip()}"
        for name, text in service.texts()
        if name not in {"LICENSE", UPDATE}
        for line in [name, *text.splitlines()]
        if "--hash=" not in line and any(words.search(line) for words in forbidden)
    ]

    assert traces == []


@cache
def allows(condition: str) -> Callable[..., bool]:
    """Return a condition, in which an answer stands for itself, as a function."""
    text = condition if "cookiecutter." in condition else f"cookiecutter.{condition}"
    return environment().compile_expression(text)


def test_words_are_listed_for_every_choice() -> None:
    """Each option whose services must leave no trace has words that are looked for (T7)."""
    named = " ".join(WORDS.values())

    private = {name for name in render.context() if name.startswith("__") and name in named}
    found = {option for name in private for option in render.names(render.context()[name])}

    assert set(options()) - {"license", "python_version"} <= found | set(re.findall(r"\w+", named))


def test_documents_name_what_exists(service: Service) -> None:
    """Files, targets and variables that documents name are those of this service (T7, U1)."""
    declared = service_variables(service)
    readme = (service.folder / "README.md").read_text()
    example = (service.folder / ".env.example").read_text()
    makefile = (service.folder / "Makefile").read_text()
    quoted = re.findall(r"`([^`\n]+)`", readme)

    suffixes = (".ini", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml")
    words = {word for word in quoted if re.fullmatch(r"\w[\w./-]*", word)}
    paths = {word for word in words if word.endswith(suffixes)}
    missing = {path for path in paths if not (service.folder / path).exists()}
    targets = set(re.findall(r"\bmake ([a-z-]+)\b(?=`|$)", readme, re.MULTILINE))
    table = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", readme, re.MULTILINE))
    # HTTP_HOST stands in a message of Django's.
    variables = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", readme)) - {"HTTP_HOST"}
    others = " ".join(text for name, text in service.texts() if name != "README.md")

    assert not missing
    assert [name for name in variables if not re.search(rf"\b{name}\b", others)] == []
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert table == declared
    assert set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) <= declared


def service_variables(service: Service) -> set[str]:
    """Return the names of the variables that the settings declare."""
    code = "from config import settings; print(*settings.env.declared, file=open('names', 'w'))"
    assert service.run("python", "-c", code, DEBUG="true") == ""
    return set((service.folder / "names").read_text().split())


@pytest.mark.parametrize("which", [smallest, largest], ids=lambda which: which.__name__)
def test_list_of_files(which: Callable[[], Answers]) -> None:
    """The smallest and the largest service consist of the files that are listed (T6)."""
    listed = (LISTS / f"{which.__name__}.txt").read_text().splitlines()

    assert sorted(render.render(which())) == listed, "If that is meant: make filelists"


class TestTests:
    """What comes with a service to test it."""

    def test_own_tests_pass(self, service: Service, tmp_path: Path) -> None:
        """The tests that come with a service pass as they are, with what it locks (T12, T14)."""
        locks = service.files["requirements.txt"] + service.files["requirements-dev.txt"]
        missing = dict.fromkeys(sorted(not_locked(locks)))
        (tmp_path / "sitecustomize.py").write_text(f"import sys\n\nsys.modules.update({missing})\n")
        # Nor has it the plugins of the template's own tests.
        plugins = ["-p", "pytest_env.plugin", "-p", "pytest_django.plugin"]
        # Two that end at once would clear away the same folders, and complain of each other.
        folder = f"--basetemp={tmp_path / 'temporary'}"
        command = ["pytest", "-q", *plugins, "-p", "no:cacheprovider", folder]
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "true", "PYTHONPATH": str(tmp_path)}
        assert service.run(*command, **alone) == ""


class TestTypes:
    """What the strict type checker finds."""

    @pytest.fixture
    def check_types(self, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Service], str]:
        """Return a function that returns what the strict type checker finds in a service."""

        def check(service: Service) -> str:
            _, _, settings = service.files["config/settings.py"].partition(b"INSTALLED_APPS = [")
            apps, _, _ = settings.partition(b"]")
            # Django's plugin forgets what it knows of libraries when other apps are installed.
            cache = tmp_path_factory.getbasetemp() / f"mypy{hash(apps)}"
            return service.run("mypy", "--cache-dir", str(cache), ".", DEBUG="true")

        return check

    def test_types_are_right(self, tmp_path: Path, check_types: Callable[[Service], str]) -> None:
        """It finds nothing in the smallest, the default and the largest service (T8)."""
        for name, answers in {"smallest": smallest(), "default": {}, "largest": largest()}.items():
            assert check_types(Service(answers, tmp_path / name)) == ""

    @pytest.mark.slow
    def test_types_are_right_in_every_pair(
        self, service: Service, check_types: Callable[[Service], str]
    ) -> None:
        """It finds nothing, whatever two answers meet (T8)."""
        assert check_types(service) == ""
