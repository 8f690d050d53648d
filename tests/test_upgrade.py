"""A service follows its template: cruft merges a newer one into what a team has changed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services import find
from tests.test_pipelines import FOLLOWING, elsewhere, jobs
from tools.render import ROOT, Answers, complete, largest, options, smallest, write

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
    (service / ".editorconfig").unlink()
    # A new file that only some services have: the condition comes with it.
    (service / "config/uwsgi_new.py").touch()
    replace(
        template / "cookiecutter.json",
        '"config/uwsgi.ini"',
        '"config/uwsgi.ini",\n      "config/uwsgi_new.py"',
    )
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


def start(template: Path, folder: Path, answers: Answers) -> tuple[Path, Path]:
    """Return a template under version control, and a service that was made of it."""
    find("git", "git")
    copy = folder / "template"
    run(folder, "cp", "-r", str(template), str(copy))
    run(copy, "git", "init", "--quiet", "--initial-branch=main")
    commit(copy, "First")
    run(copy, "git", "tag", "v0.9.0")
    chosen = json.dumps(answers)
    output = ("--no-input", "--output-dir", str(folder), "--extra-context", chosen)
    run(folder, "cruft", "create", str(copy), *output)
    service = folder / "example_service"
    run(service, "git", "init", "--quiet", "--initial-branch=main")
    commit(service, "Render")
    return copy, service


CHOICES = pytest.mark.parametrize(
    "answers", [dict, smallest, largest], ids=["default", "smallest", "largest"]
)


def update(service: Path) -> None:
    """Let a service follow its template, and find it without a conflict and sound."""
    run(service, "cruft", "update", "--skip-apply-ask", "--allow-untracked-files")

    assert not list(service.rglob("*.rej"))
    assert "<<<<<<<" not in "".join(files(service).values())
    run(service, "ruff", "check", "--no-cache")
    run(service, "pytest", "-q", "-p", "no:cacheprovider")


def files(service: Path) -> dict[str, str]:
    """Return the text of each file of a service, by its path, but for what links it."""
    return {
        name: (service / name).read_text()
        for name in run(service, "git", "ls-files", "--cached", "--others", "--exclude-standard")
        .strip()
        .splitlines()
        if name != ".cruft.json" and (service / name).exists()
    }


@CHOICES
def test_a_service_follows_its_template(
    answers: Callable[[], Answers], template: Path, tmp_path: Path
) -> None:
    """After a release cruft changes what the team left alone, and the service is sound (T13)."""
    copy, service = start(template, tmp_path, answers())
    work(service)
    release(copy)

    update(service)

    settings = (service / "config/settings.py").read_text()
    assert all(
        line in settings for line in ("apps.orders", "USE_THOUSAND_SEPARATOR", "APPEND_SLASH")
    )
    assert "--home-dir /tmp" in (service / "Dockerfile").read_text()
    assert "--start-period=90s" in (service / "Dockerfile").read_text()
    assert "sqlparse==99.0.0" in (service / "requirements.txt").read_text()
    assert (service / "templates/403.html").exists()
    assert not (service / ".editorconfig").exists()
    assert not (service / "config/uwsgi_new.py").exists()


@CHOICES
def test_a_service_of_the_last_release_follows(
    answers: Callable[[], Answers], template: Path, tmp_path: Path
) -> None:
    """It becomes what the team's work on a new service would have made (T13)."""
    # Of a commit that is released itself, the release before.
    tag = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if not tag:
        pytest.skip("No release before this commit is tagged in this clone")
    past, fresh = tmp_path / "past", tmp_path / "fresh"
    past.mkdir()
    subprocess.run(f"git archive {tag} | tar -x -C {past}", cwd=ROOT, shell=True, check=True)
    copy, service = start(past, tmp_path, answers())
    work(service)
    run(copy, "git", "rm", "-r", "--quiet", ".")
    run(copy, "cp", "-r", f"{template}/.", ".")
    commit(copy, "Now")
    write(answers(), fresh)
    run(fresh, "git", "init", "--quiet", "--initial-branch=main")
    work(fresh)

    update(service)

    assert files(service) == files(fresh)


def work_of_pipeline(
    forge: str, service: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Return what the job that follows the template has done, with its own variables set."""
    (job,) = (job for job in jobs(complete({"ci": forge})) if job.name == FOLLOWING[forge])
    config = {name: str(value) for name, value in job.variables.items() if name.startswith("GIT_")}
    script = "\n".join(command for command in job.commands if not elsewhere(command))
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=service,
        env={
            **os.environ,
            **config,
            "GIT_CONFIG_GLOBAL": str(service.parent / "gitconfig"),
            "PYTHON": sys.executable,
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("forge", [forge for forge in options()["ci"] if forge != "none"])
def test_pipelines_ask_once_for_each_release(forge: str, template: Path, tmp_path: Path) -> None:
    """A new release comes to a branch of its own, which nothing touches afterwards (T13, D7)."""
    copy, service = start(template, tmp_path, {"ci": forge})
    origin = tmp_path / "origin.git"
    run(tmp_path, "git", "clone", "--quiet", "--bare", str(service), str(origin))
    run(origin, "git", "config", "receive.advertisePushOptions", "true")
    hook = origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_ >> options || true\n")
    hook.chmod(0o755)
    run(service, "git", "remote", "add", "origin", str(origin))
    output = tmp_path / "output"
    variables = {
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_URL": str(origin.with_suffix("")),
        "CI_SERVER_URL": "https://gitlab.example.com",
        "GH_TOKEN": "token",
        "GITHUB_ACTOR": "somebody",
        "GITHUB_OUTPUT": str(output),
        "GITLAB_USER_EMAIL": "somebody@example.com",
        "GITLAB_USER_NAME": "Somebody",
        "TEMPLATE_TOKEN": "token",
    }

    early = work_of_pipeline(forge, service, variables)
    before = run(origin, "git", "for-each-ref", "--format=%(refname:short)").split()
    replace(copy / SERVICE / "Dockerfile", "--start-period=60s", "--start-period=90s")
    commit(copy, "Release")
    run(copy, "git", "tag", "v0.10.0")
    (copy / SERVICE / "unreleased.txt").touch()
    commit(copy, "Go on")
    first = work_of_pipeline(forge, service, variables)
    run(service, "git", "checkout", "--quiet", "--force", "main")
    again = work_of_pipeline(forge, service, variables)

    assert [done.returncode for done in (early, first, again)] == [0, 0, 0], (
        f"{early.stdout}\n{first.stdout}\n{again.stdout}"
    )
    assert before == ["main"]
    main, branch = run(origin, "git", "for-each-ref", "--format=%(refname:short)").split()
    assert main == "main"
    changed = run(origin, "git", "diff", "--name-only", "main", branch).split()
    assert changed == [".cruft.json", "Dockerfile"]
    assert run(origin, "git", "rev-list", "--count", branch).split() == ["2"]
    if forge == "github":
        assert output.read_text() == f"branch={branch}\n"
    else:
        assert "merge_request.create" in (origin / "options").read_text()
        assert "merge_request.target=main" in (origin / "options").read_text()


def test_a_service_without_cruft_can_be_linked(template: Path, tmp_path: Path) -> None:
    """Make says what writes .cruft.json where a service was rendered without it (T13)."""
    copy, service = start(template, tmp_path, {})
    (service / ".cruft.json").unlink()
    commit(service, "Forget")
    update = (find("make", "make"), "update", f"PYTHON={sys.executable}")

    def attempt(*command: str, answers: str = "") -> tuple[int, str]:
        done = subprocess.run(
            command, cwd=service, input=answers, capture_output=True, text=True, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    refused, said = attempt(*update)
    found = re.search(r"(\.venv/cruft/bin/cruft link) ADDRESS$", said, re.MULTILINE)
    assert found, said
    linked, questions = attempt(*found[1].split(), str(copy), answers="\n" * 30)
    commit(service, "Link")
    updated, end = attempt(*update)

    assert refused == 2
    assert linked == 0, questions
    assert updated == 0, end
    assert "is ready" not in end
    assert "git diff" in end
    assert json.loads((service / ".cruft.json").read_text())["template"] == str(copy)
