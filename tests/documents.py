"""What the documents tell their readers to type."""

import re
from collections.abc import Iterator

FENCE = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"(?:^(?:    .*)?\n)+", re.MULTILINE)


def section(text: str, title: str) -> str:
    """Return the part of a document under a heading, without the heading."""
    _head, found, rest = text.partition(f"\n## {title}\n")
    assert found, f"There is no section {title}"
    return rest.partition("\n## ")[0]


def commands(text: str) -> Iterator[str]:
    """Yield each command of a document: a line of an indented block that is no output.

    Where lines of a block begin with a dollar sign, the others are output; so are formulas.
    """
    for block in BLOCK.findall(FENCE.sub("\n", text)):
        lines = [line[4:] for line in block.splitlines() if line.strip()]
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in typed or lines:
            if not line.startswith((" ", "(", "{")):
                yield line.partition("  #")[0].rstrip()
