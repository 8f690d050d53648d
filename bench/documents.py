"""Keeps the result of a run as the reference, whose figures README.md shows."""

import json
import re
from pathlib import Path
from typing import Any

from bench.tables import tables

REFERENCE = Path(__file__).with_name("result.json")
README = Path(__file__).with_name("README.md")
HEADING = "## Figures\n"


def write(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, with the measurements of one thing in one line."""
    text = json.dumps(result, indent=2)
    lists = re.compile(r"\[[^\[\]{}]*\]")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lists.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def readme(result: dict[str, Any]) -> str:
    """Return README.md with the figures of a result."""
    machine = result["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    about = (
        f"Measured on {machine['date']} with {machine['cores']} cores of {machine['processor']},\n"
        f"{machine['system']}, Python {machine['python']},\n{libraries}.\n"
    )
    before, _, _ = README.read_text().partition(HEADING)
    figures = "\n\n".join(table.markdown() for table in tables(result))
    return f"{before}{HEADING}\n{about}\n{figures}\n"
