"""``make actions`` pins the newest release of each action in all workflows, by its commit."""

import re
import subprocess
from functools import cache

from tools.render import ROOT, SERVICE

PIN = re.compile(r"(uses: ([\w-]+/[\w-]+)[\w/-]*@)[0-9a-f]{40}( +# )v[\d.]+")
RELEASE = re.compile(r"^([0-9a-f]{40})\trefs/tags/v(\d+)\.(\d+)\.(\d+)(?:\^\{\})?$", re.MULTILINE)


@cache
def newest(repository: str) -> tuple[str, str]:
    """Return the commit and the version of an action's newest release."""
    command = ["git", "ls-remote", "--tags", f"https://github.com/{repository}", "v*"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # An annotated tag is listed twice: the second time with the commit that it names.
    releases = {
        (int(major), int(minor), int(patch)): commit
        for commit, major, minor, patch in RELEASE.findall(done.stdout)
    }
    version = max(releases)
    return releases[version], f"v{'.'.join(map(str, version))}"


def pin(match: re.Match[str]) -> str:
    """Return a line that uses an action, with its newest release."""
    commit, version = newest(match[2])
    return f"{match[1]}{commit}{match[3]}{version}"


if __name__ == "__main__":
    for folder in (ROOT, SERVICE):
        for path in sorted(folder.glob(".github/workflows/*.yaml")):
            path.write_text(PIN.sub(pin, path.read_text()))
