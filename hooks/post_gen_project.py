"""Remove the files that belong only to answers that were not given."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

ANSWERS = r"""{{ cookiecutter | jsonify }}"""


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


def remove(path: Path) -> None:
    """Remove a file or a folder; a missing one is an error."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    answers = json.loads(ANSWERS)
    for path in unused(answers):
        remove(Path(path))
    print(f"\n{answers['project_slug']} is ready. Two commands from here:\n")
    print(f"    cd {answers['project_slug']}\n    make run\n")
