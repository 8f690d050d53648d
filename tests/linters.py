"""The field's own linters, from an environment of their own."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.services import find, missing
from tools.render import ROOT

FOLDER = ROOT / ".linters"
BIN = FOLDER / "bin"
MODULES = FOLDER / "node_modules"


def lint(
    folder: Path, name: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Return what a linter finds in a folder, or nothing."""
    program = find(name, "the linters: make linters", folders=(str(BIN),))
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "NO_COLOR": "1",
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if not done.returncode:
        return ""
    return f"{done.stdout}{done.stderr}" or f"status {done.returncode}"


def module(name: str) -> Path:
    """Return the folder of a package for Node, or skip."""
    if not (MODULES / name).is_dir():
        missing(f"{name}: install the linters: make linters")
    return MODULES / name
