"""Keeps the result of a run as the reference, whose figures two documents show."""

import json
import re
from pathlib import Path
from typing import Any

from bench import tables
from tools.render import ROOT

REFERENCE = Path(__file__).with_name("result.json")
README = Path(__file__).with_name("README.md")
OVERVIEW = ROOT / "README.md"
HEADING = "## Figures\n"
BEGIN = "<!-- Written by python -m bench --keep -->\n"
END = "<!-- Up to here, too -->\n"


def write(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, with the measurements of one thing in one line."""
    text = json.dumps(result, indent=2)
    lists = re.compile(r"\[[^\[\]{}]*\]")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lists.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def documents(result: dict[str, Any]) -> dict[Path, str]:
    """Return the documents that show figures, with those of a result."""
    return {README: readme(result), OVERVIEW: overview(result)}


def overview(result: dict[str, Any]) -> str:
    """Return README.md of the template with what was measured of the default service."""
    before, _, rest = OVERVIEW.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables.overview(result).markdown()}\n{END}{after}"


def readme(result: dict[str, Any]) -> str:
    """Return README.md of the benchmark with all figures of a result."""
    machine = result["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    about = (
        f"Measured on {machine['date']} with {machine['cores']} cores of {machine['processor']},\n"
        f"{machine['system']}, Python {machine['python']},\n{libraries}.\n"
    )
    before, _, _ = README.read_text().partition(HEADING)
    figures = "\n\n".join(table.markdown() for table in tables.tables(result))
    return f"{before}{HEADING}\n{about}\n{figures}\n"
