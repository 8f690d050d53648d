"""The example app of a service goes away as the service's README says."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import Project
from tools.render import Answers, largest


@pytest.mark.slow
@pytest.mark.parametrize("answers", [dict, largest, lambda: {"api": "none"}])
def test_example_goes_away_as_documented(answers: Callable[[], Answers], tmp_path: Path) -> None:
    """After the documented commands nothing is left of it, and the service is sound (T7)."""
    project = Project(answers(), tmp_path / "service")
    for name in ("trial.py", "trial_settings.py"):
        (project.folder / name).unlink()
    section = (project.folder / "README.md").read_text().partition("\n## Example\n")[2]
    commands = re.findall(r"^    (.+)$", section.partition("\n## ")[0], re.MULTILINE)

    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=project.folder, check=True)

    shutil.rmtree(project.folder / ".pytest_cache", ignore_errors=True)
    code = [*(project.folder / "apps").rglob("*.py"), *(project.folder / "config").rglob("*.py")]
    assert not [path for path in code if "notes" in path.read_text()]
    for command in (
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["pytest", "-q", "-p", "no:cacheprovider"],
    ):
        done = subprocess.run(
            command,
            cwd=project.folder,
            env=project.environment({}),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    project.manage("makemigrations", "--check", variables={"DEBUG": "true"})
