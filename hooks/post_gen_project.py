"""Remove the files that belong only to answers that were not given, and say what comes next."""

import json
import os
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ANSWERS = r"""{{ cookiecutter | jsonify }}"""

IDENTITY = ("project_", "description", "author_", "domain_")


def holds(condition: str, answers: dict) -> bool:
    """Return whether a key of _only_if is true for these answers."""
    name, equals, value = condition.partition("=")
    return answers[name] == value if equals else answers[name] in (True, "y")


def unused(answers: dict) -> Iterator[str]:
    """Yield every path that belongs only to answers that were not given."""
    wanted = {}
    for condition, paths in answers["_only_if"].items():
        for path in paths:
            wanted[path] = wanted.get(path, False) or holds(condition, answers)
    yield from (path for path, keep in wanted.items() if not keep)


def unknown(answers: dict) -> Iterator[str]:
    """Yield every path of _only_if that is no file: a folder may hold more than was rendered."""
    for paths in answers["_only_if"].values():
        yield from (path for path in paths if not Path(path).is_file())


def remove(path: Path) -> None:
    """Remove a file, and the folders that this leaves empty."""
    path.unlink()
    for folder in path.parents:
        if any(folder.iterdir()):
            return
        folder.rmdir()


def summary(answers: dict) -> str:
    """Return what was chosen, as one would write it behind the cookiecutter command."""
    chosen = [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in answers.items()
        if not name.startswith(("_", *IDENTITY))
    ]
    return textwrap.fill(" ".join(chosen), 88, initial_indent="    ", subsequent_indent="    ")


if __name__ == "__main__":
    answers = json.loads(ANSWERS)
    if paths := sorted(set(unknown(answers))):
        sys.exit(f"_only_if in cookiecutter.json must name files, not {', '.join(paths)}.")
    for path in unused(answers):
        remove(Path(path))
    # An update renders services only to compare them.
    if "UPDATING" in os.environ:
        sys.exit()
    sys.stdout.reconfigure(errors="backslashreplace")
    print(f"\n{answers['project_slug']} is ready, with\n\n{summary(answers)}\n")
    print("Two commands from here:\n")
    print(f"    cd {shlex.quote(str(Path.cwd()))}\n    make run\n")
