"""Renders services in this process: what Cookiecutter does, with every template compiled once."""

import fnmatch
import json
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cookiecutter.environment import StrictEnvironment
from cookiecutter.prompt import render_variable
from jinja2 import Template

from hooks.post_gen_project import unused

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "{{cookiecutter.project_slug}}"

type Answers = dict[str, Any]


@cache
def context() -> dict[str, Any]:
    """Return the content of cookiecutter.json."""
    return json.loads((ROOT / "cookiecutter.json").read_text())


def options() -> dict[str, list[Any]]:
    """Return the values of every question that offers a choice, the default first."""
    found: dict[str, list[Any]] = {}
    for name, value in context().items():
        if not name.startswith("_") and isinstance(value, list | bool):
            found[name] = value if isinstance(value, list) else [value, not value]
    return found


@cache
def environment() -> StrictEnvironment:
    """Return Jinja as Cookiecutter sets it up for this template."""
    return StrictEnvironment(
        context={"cookiecutter": context()},
        keep_trailing_newline=True,
        **context()["_jinja2_env_vars"],
    )


@cache
def sources() -> list[tuple[str, int, bytes, Template | None]]:
    """Return path, mode, content and, unless it is copied as it is, template of every file."""
    found = []
    for path in sorted(SERVICE.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(SERVICE).as_posix()
        content = path.read_bytes()
        copied = any(
            fnmatch.fnmatch(f"slug/{name}", pattern)
            for pattern in context()["_copy_without_render"]
        )
        template = None if copied else environment().from_string(content.decode())
        found.append((name, stat.S_IMODE(path.stat().st_mode), content, template))
    return found


def complete(answers: Mapping[str, Any]) -> Answers:
    """Return the answers with the defaults and private values that Cookiecutter would add."""
    full: Answers = {}
    for name, raw in context().items():
        if name == "__prompts__":
            continue
        if name in answers:
            full[name] = answers[name]
        elif isinstance(raw, list) and not name.startswith("_"):
            full[name] = raw[0]
        elif isinstance(raw, bool) or (name.startswith("_") and not name.startswith("__")):
            full[name] = raw
        else:
            full[name] = render_variable(environment(), raw, full)
    return full


def render(answers: Mapping[str, Any], only: str | None = None) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of a service, or of one file."""
    full = complete(answers)
    pruned = set(unused(full))
    files = {}
    for name, mode, content, template in sources():
        if only not in (None, name):
            continue
        if name in pruned or any(name.startswith(f"{path}/") for path in pruned):
            continue
        rendered = template.render(cookiecutter=full).encode() if template else content
        files[name] = (mode, rendered)
    return files


def write(answers: Mapping[str, Any], directory: Path) -> None:
    """Render a service into a directory."""
    for name, (mode, content) in render(answers).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
