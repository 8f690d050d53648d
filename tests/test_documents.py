"""What the documents say is true."""

import json
import re

from tools.render import ROOT, complete, options, render

README = (ROOT / "README.md").read_text()


def test_readme_lists_every_option_with_its_values() -> None:
    """The options' table says what cookiecutter.json asks, in its order (U1)."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", README)

    expected = [
        (name, ", ".join(json.dumps(value).strip('"') for value in values))
        for name, values in options().items()
    ]
    assert rows == expected


def test_readme_shows_the_tree_that_is_rendered() -> None:
    """Every path in the tree of README is rendered by the default answers (U1)."""
    paths = re.findall(r"(?m)^[│ ]*[├└]── (\S+)", README)

    rendered = {part for path in render(complete({})) for part in path.split("/")}
    assert paths
    assert {path.rstrip("/") for path in paths} <= rendered


def test_readme_names_tests_that_exist() -> None:
    """Every guarantee names a test that shows it (U1)."""
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    names = set(re.findall(r"`(test_\w+)`", README))
    assert names
    assert names <= set(re.findall(r"def (test_\w+)", code))
