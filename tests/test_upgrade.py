"""A service follows its template: cruft merges a newer one into what a team has changed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services import find
from tools.render import Answers, largest, smallest

pytestmark = pytest.mark.slow

SERVICE = "{{cookiecutter.project_slug}}"
IDENTITY = ("-c", "user.name=Team", "-c", "user.email=team@example.com")


def run(folder: Path, *command: str) -> str:
    """Return what a command prints in a folder, where nothing but the command is set up."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Commit everything in a folder."""
    run(folder, "git", "add", "--all")
    run(folder, "git", *IDENTITY, "commit", "--quiet", "--message", message)


def replace(path: Path, old: str, new: str) -> None:
    """Change a text in a file, in which it has to be."""
    text = path.read_text()
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new, 1))


def release(template: Path) -> None:
    """Change a template as a release does: settings, image, tests, documents, a lock, new files."""
    service = template / SERVICE
    settings = service / "config/settings.py"
    replace(settings, "    default=30,\n", "    default=45,\n")
    replace(
        settings,
        '\nROOT_URLCONF = "config.urls"\n',
        '\nAPPEND_SLASH = False\nROOT_URLCONF = "config.urls"\n',
    )
    replace(service / "Dockerfile", "--start-period=60s", "--start-period=90s")
    replace(service / "README.md", "## Licence\n", "## Terms\n")
    replace(service / "templates/404.html", "There is no page", "Nothing is")
    lock = service / "requirements.txt"
    lock.write_text(re.sub(r"sqlparse==[\d.]+", "sqlparse==99.0.0", lock.read_text()))
    (service / "templates/403.html").write_text("<!doctype html>\n<title>Not allowed</title>\n")
    (service / "templates/500.html").unlink()
    commit(template, "Release")


def work(service: Path) -> None:
    """Change a service as a team does: a setting, a variable, an app with its tests, the image."""
    settings = service / "config/settings.py"
    replace(settings, '    "apps.common",\n', '    "apps.common",\n    "apps.orders",\n')
    replace(settings, "\nLANGUAGE_CODE = ", "\nUSE_THOUSAND_SEPARATOR = True\nLANGUAGE_CODE = ")
    replace(service / "Dockerfile", "--home-dir /nonexistent", "--home-dir /tmp")
    replace(
        service / "README.md", "\n## Health", "\nOur orders go through this service.\n\n## Health"
    )
    app = service / "apps/orders"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "apps.py").write_text(
        '"""Orders."""\n\nfrom django.apps import AppConfig\n\n\n'
        'class OrdersConfig(AppConfig):\n    """Holds orders."""\n\n    name = "apps.orders"\n'
    )
    (service / "tests/test_orders.py").write_text(
        "from django.apps import apps\n\n\n"
        'def test_orders_are_installed() -> None:\n    assert apps.is_installed("apps.orders")\n'
    )
    commit(service, "Take orders")


@pytest.mark.parametrize(
    "answers", [dict, smallest, largest], ids=["default", "smallest", "largest"]
)
def test_a_service_follows_its_template(
    answers: Callable[[], Answers], template: Path, tmp_path: Path
) -> None:
    """After a release cruft changes what the team left alone, and the service is sound (T13)."""
    find("git", "git")
    copy = tmp_path / "template"
    run(tmp_path, "cp", "-r", str(template), str(copy))
    run(copy, "git", "init", "--quiet", "--initial-branch=main")
    commit(copy, "First")
    chosen = json.dumps(answers())
    run(
        tmp_path,
        "cruft",
        "create",
        str(copy),
        "--no-input",
        "--output-dir",
        str(tmp_path),
        "--extra-context",
        chosen,
    )
    service = tmp_path / "example_service"
    run(service, "git", "init", "--quiet", "--initial-branch=main")
    commit(service, "Render")
    work(service)
    release(copy)

    run(service, "cruft", "update", "--skip-apply-ask", "--allow-untracked-files")

    assert not list(service.rglob("*.rej"))
    assert "<<<<<<<" not in "".join(
        path.read_text()
        for path in service.rglob("*")
        if path.is_file() and ".git" not in path.parts
    )
    settings = (service / "config/settings.py").read_text()
    assert all(
        line in settings for line in ("apps.orders", "USE_THOUSAND_SEPARATOR", "APPEND_SLASH")
    )
    assert "--home-dir /tmp" in (service / "Dockerfile").read_text()
    assert "--start-period=90s" in (service / "Dockerfile").read_text()
    assert "sqlparse==99.0.0" in (service / "requirements.txt").read_text()
    assert (service / "templates/403.html").exists()
    assert not (service / "templates/500.html").exists()
    run(service, "ruff", "check", "--no-cache")
    run(service, "pytest", "-q", "-p", "no:cacheprovider")
