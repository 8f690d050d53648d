"""``make release`` tags the commit with the version that pyproject.toml and CHANGELOG.md name."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ENTRY = re.compile(r"^## (.+?)(?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)


def git(*arguments: str) -> str:
    """Return what git prints."""
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def problems(version: str, newest: str) -> Iterator[str]:
    """Yield what keeps this commit from being released."""
    if newest != version:
        yield f"CHANGELOG.md begins with {newest}, and pyproject.toml has {version}."
    if git("tag", "--list", f"v{version}"):
        yield f"v{version} is released already."
    if git("status", "--porcelain"):
        yield "There are changes that are not committed."
    if not git("branch", "--remotes", "--contains", "HEAD"):
        yield "This commit is not pushed, so that no pipeline has checked it."


if __name__ == "__main__":
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    _, newest, entry, *_ = ENTRY.split(Path("CHANGELOG.md").read_text())
    if found := list(problems(version, newest)):
        sys.exit("\n".join(["Nothing was tagged:", *found]))
    git("tag", "--annotate", f"v{version}", "--message", f"{version}\n\n{entry.strip()}")
    print(f"Tagged v{version}. To publish it: git push origin v{version}")
