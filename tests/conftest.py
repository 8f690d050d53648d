"""Fixtures that every test may use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.render import ROOT

type Cookiecutter = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave slow tests to the pipeline."""
    if os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: set CI=true to run it"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this repository, without what git ignores and without git."""
    copy = tmp_path_factory.mktemp("template") / "copy"
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=left_out)
    return copy


@pytest.fixture(scope="session")
def cookiecutter(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Cookiecutter:
    """Return a function that runs the cookiecutter command in an environment of its own."""
    home = tmp_path_factory.mktemp("home")
    environment = {"HOME": str(home), "PATH": "", "PYTHONPYCACHEPREFIX": str(home / "pycache")}

    def run(
        output: Path, *arguments: str, source: Path = template, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cookiecutter", str(source), "--no-input"]
        return subprocess.run(
            [*prefix, *command, "--output-dir", str(output), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
