"""Renders services in this process: what Cookiecutter does, with every template compiled once.

A rendered file is remembered by the answers that its template names, since most name few.
"""

import json
import shlex
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from allpairspy import AllPairs
from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import is_binary, is_copy_only_path
from cookiecutter.prompt import render_variable
from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes

from hooks.post_gen_project import unused

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "{{cookiecutter.project_slug}}"
# Options that decide nothing the service's Python code reads.
APART = ("license", "python_version", "ci", "use_kubernetes")

type Answers = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Source:
    """A file of the template; one that is copied as it is has no compiled template."""

    path: str
    mode: int
    content: bytes
    template: Template | None
    names: tuple[str, ...]


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


def pairwise() -> list[Answers]:
    """Return combinations in which any two values of different options meet."""
    names, values = zip(*options().items(), strict=True)
    return [dict(zip(names, row, strict=True)) for row in AllPairs(values)]


def full_product() -> list[Answers]:
    """Return every combination of the options that reach Python.

    The other options go through their own combinations meanwhile, shifted by one after each
    round, so that every value of theirs meets every value of all others.
    """
    reaching = {name: values for name, values in options().items() if name not in APART}
    rest = [dict(zip(APART, row, strict=True)) for row in product(*map(options().get, APART))]
    return [
        dict(zip(reaching, row, strict=True)) | rest[(index + index // len(rest)) % len(rest)]
        for index, row in enumerate(product(*reaching.values()))
    ]


def command(answers: Mapping[str, Any]) -> str:
    """Return the command that renders a service with these answers."""
    default = complete({})
    words = [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in answers.items()
        if value != default[name]
    ]
    return shlex.join(["cookiecutter", ".", "--no-input", *words])


@cache
def environment() -> StrictEnvironment:
    """Return Jinja as Cookiecutter sets it up for this template."""
    return StrictEnvironment(
        context={"cookiecutter": context()},
        keep_trailing_newline=True,
        **context()["_jinja2_env_vars"],
    )


def names(text: str) -> tuple[str, ...]:
    """Return the answers that a template names."""
    return tuple(
        sorted(
            {
                node.attr
                for node in environment().parse(text).find_all(nodes.Getattr)
                if isinstance(node.node, nodes.Name) and node.node.name == "cookiecutter"
            }
        )
    )


def source(path: str, mode: int, content: bytes) -> Source:
    """Return a file of the template, compiled unless Cookiecutter copies it as it is."""
    settings = {"cookiecutter": context()}
    copied = is_binary(str(SERVICE / path)) or any(
        is_copy_only_path(str(part), settings) for part in (Path(path), *Path(path).parents)
    )
    if copied:
        return Source(path, mode, content, None, ())
    text = content.decode()
    try:
        return Source(path, mode, content, environment().from_string(text), names(text))
    except TemplateSyntaxError as error:
        error.add_note(f"in {path}")
        raise


@cache
def sources() -> list[Source]:
    """Return every file of the template."""
    return [
        source(
            path.relative_to(SERVICE).as_posix(),
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes(),
        )
        for path in sorted(SERVICE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


@lru_cache(maxsize=1000)
def content(file: Source, named: tuple[tuple[str, Any], ...]) -> bytes:
    """Return what a file becomes with the answers that it names."""
    if file.template is None:
        return file.content
    try:
        return file.template.render(cookiecutter=dict(named)).encode()
    except UndefinedError as error:
        error.add_note(f"in {file.path}")
        raise


@cache
def compiled(raw: str) -> Template:
    """Return the template of a value in cookiecutter.json."""
    return environment().from_string(raw)


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
        elif isinstance(raw, str):
            full[name] = compiled(raw).render(cookiecutter=full)
        else:
            full[name] = render_variable(environment(), raw, full)
    return full


def answers_in(file: Source, full: Answers) -> tuple[tuple[str, Any], ...]:
    """Return the answers that a file names; Jinja itself complains of one that is unknown."""
    return tuple((name, full[name]) for name in file.names if name in full)


def render(answers: Mapping[str, Any], only: str | None = None) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of a service, or of one file."""
    full = complete(answers)
    pruned = set(unused(full))
    return {
        file.path: (file.mode, content(file, answers_in(file, full)))
        for file in sources()
        if only in (None, file.path) and file.path not in pruned
    }


def write(answers: Mapping[str, Any], directory: Path) -> None:
    """Render a service into a directory."""
    for name, (mode, rendered) in render(answers).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rendered)
        path.chmod(mode)


def smallest() -> Answers:
    """Return the answers that make the smallest service."""
    return extreme(min)


def largest() -> Answers:
    """Return the answers that make the largest service."""
    return extreme(max)


def extreme(pick: Callable[..., Any]) -> Answers:
    """Return what the smallest or the largest value of each option is, one after the other.

    All are looked at twice, since what one brings may depend on another.
    """
    found = {name: values[0] for name, values in options().items()}
    for name, values in [*options().items()] * 2:
        found[name] = pick(found[name], *values, key=lambda value: size({**found, name: value}))
    return found


def size(answers: Answers) -> tuple[int, int]:
    """Return how many files a service has, and how many lines."""
    files = render(answers)
    return len(files), sum(rendered.count(b"\n") for _, rendered in files.values())
