"""How the template itself is kept up to date and released."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from tests.services import find
from tools import lock
from tools.actions import PIN
from tools.release import ENTRY
from tools.render import ROOT, SERVICE

WORKFLOWS = ".github/workflows/*.yaml"


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Return how a command ended, where git knows nobody but a maintainer."""
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    somebody = {f"GIT_{name}": "maintainer@example.com" for name in names}
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **somebody, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    done = run(folder, find("git", "git"), *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


def test_an_action_has_the_same_version_in_all_workflows() -> None:
    """Each action is pinned to one commit, in the template and in a service (D7)."""
    pins = defaultdict(set)
    for folder in (ROOT, SERVICE):
        for path in folder.glob(WORKFLOWS):
            for line in re.findall(r"uses: ([\w-]+/.+)", path.read_text()):
                name, _, pin = line.partition("@")
                pins[name].add(pin.replace("  #", " #"))

    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_actions_are_pinned_to_their_newest_release(template: Path, tmp_path: Path) -> None:
    """Make asks the repositories of all actions for their newest tag and its commit (D7)."""
    copy = tmp_path / "template"
    shutil.copytree(template, copy)
    text = "".join(path.read_text() for path in copy.rglob(WORKFLOWS))
    repositories = {name for _, name, _ in PIN.findall(text)}
    commits = set()
    for name in repositories:
        action = tmp_path / name
        action.mkdir(parents=True)
        git(action, "init", "--quiet")
        for tag in ("v9.1.0", "v10.2.1", "v2-beta"):
            git(action, "commit", "--quiet", "--allow-empty", "--message", tag)
            git(action, "tag", "--annotate", tag, "--message", tag)
        commits.add(git(action, "rev-parse", "v10.2.1^{commit}"))

    done = run(
        copy,
        *(sys.executable, "-m", "tools.actions"),
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.{tmp_path}/.insteadOf",
        GIT_CONFIG_VALUE_0="https://github.com/",
    )

    assert done.returncode == 0, done.stdout
    text = "".join(path.read_text() for path in copy.rglob(WORKFLOWS))
    found = re.findall(r"uses: [\w-]+/.+@(\w+) +# (\S+)", text)
    assert len(repositories) >= 3
    assert {version for _, version in found} == {"v10.2.1"}
    assert {commit for commit, _ in found} == commits


def test_lower_bounds_follow_what_is_resolved(tmp_path: Path) -> None:
    """A list of requirements gets the resolved versions, and all else stays as it was (T12)."""
    project = tmp_path / "pyproject.toml"
    project.write_text(
        'dependencies = []\n\ndev = [\n{% if it %}\n    "a-b[c]>=1.0,<3",\n{% endif %}\n]\n'
        'linters = [\n    "a-b>=1.0",\n]\n'
    )

    lock.raise_bounds(tmp_path, "dev", "a-b==2.1.post1 \\\n    --hash=sha256:0\n")

    assert project.read_text() == (
        'dependencies = []\n\ndev = [\n{% if it %}\n    "a-b[c]>=2.1.post1,<3",\n{% endif %}\n]\n'
        'linters = [\n    "a-b>=1.0",\n]\n'
    )


def test_newest_entry_of_the_changelog_is_the_version() -> None:
    """CHANGELOG speaks of this version, or of what comes after it (T13)."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = ENTRY.findall((ROOT / "CHANGELOG.md").read_text())

    released = headings[1:] if headings[0] == "Unreleased" else headings
    numbers = [tuple(map(int, it.split("."))) for it in released]
    assert released[0] == version
    assert numbers == sorted(numbers, reverse=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository whose version is described but not released."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-01-02\n\nFaster.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Release")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    return tmp_path


def release(repository: Path) -> subprocess.CompletedProcess[str]:
    """Return how ``make release`` ended."""
    return run(repository, sys.executable, "-m", "tools.release", PYTHONPATH=str(ROOT))


def test_release_is_a_tag_with_its_entry(repository: Path) -> None:
    """The tag has the version as its name and the entry of CHANGELOG as its message (T13)."""
    done = release(repository)

    assert done.returncode == 0, done.stdout
    message = git(repository, "tag", "--list", "--format=%(contents)", "v1.2.3")
    assert message.split() == ["1.2.3", "Faster."]


def test_release_names_all_that_keeps_it_back(repository: Path) -> None:
    """Nothing is tagged twice, undescribed, uncommitted or unchecked (T13)."""
    git(repository, "tag", "v1.2.3")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "Not pushed")
    changelog = repository / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## Unreleased\n\nSlower.\n")

    done = release(repository)

    assert done.returncode == 1
    assert "begins with Unreleased, and pyproject.toml has 1.2.3" in done.stdout
    assert "v1.2.3 is released already" in done.stdout
    assert "not committed" in done.stdout
    assert "not pushed" in done.stdout


@pytest.mark.slow
def test_nothing_is_newer_than_the_oldest_python(tmp_path: Path) -> None:
    """What Python 3.12 lacks is used nowhere in the template's own code (T14)."""
    (oldest,) = re.findall(
        r'(?m)^requires-python = ">=(.+)"$', (ROOT / "pyproject.toml").read_text()
    )

    def complaints(version: str) -> set[str]:
        options = ("--python-version", version, "--cache-dir", str(tmp_path))
        done = run(ROOT, sys.executable, "-m", "mypy", *options, "hooks", "tools", "bench", "tests")
        assert "source files)" in done.stdout, done.stdout
        return {line for line in done.stdout.splitlines() if "attr-defined" in line}

    current = ".".join(map(str, sys.version_info[:2]))
    assert complaints(oldest) - complaints(current) == set()
