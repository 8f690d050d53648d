"""Secrets: none is rendered, and those of an installation can be kept encrypted."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import commands, section
from tests.linters import BIN, lint
from tests.services import find
from tools.render import Answers, largest, options, pairwise, render, smallest, write

FILE = "secrets/production.env"


def rules(answers: Answers) -> list[dict[str, Any]]:
    """Return the rules by which sops encrypts."""
    text = render(answers, only=".sops.yaml")[".sops.yaml"][1]
    return yaml.safe_load(text)["creation_rules"]


@pytest.mark.parametrize("kubernetes", options()["use_kubernetes"])
def test_files_that_are_named_have_a_rule(kubernetes: bool) -> None:
    """Each file that README encrypts is one that sops would encrypt (D9)."""
    answers = {"use_kubernetes": kubernetes}
    readme = render(answers, only="README.md")["README.md"][1].decode()

    named = set(re.findall(r"\bsecrets/[\w.]+", readme))

    assert FILE in named
    for path in named:
        assert [rule for rule in rules(answers) if re.search(rule["path_regex"], path)], path
    assert {rule["age"] for rule in rules(answers)} == {"change-me"}


@pytest.mark.parametrize("answers", pairwise())
def test_no_secret_is_rendered(answers: Answers) -> None:
    """What looks like a secret is a placeholder that no production start accepts (D9, S3)."""
    names = "SECRET_KEY|PASSWORD|API_KEY|PRIVATE_KEY"
    secret = re.compile(rf"^[\s#-]*(?:export )?\w*(?:{names})(?:=|: +)(.*)$", re.M)
    values = {
        value
        for content in (content.decode() for _, content in render(answers).values())
        for value in secret.findall(content)
    }

    # That of the database which a pipeline starts for its tests is test.
    assert values - {"change-me", "test", ""} <= {
        value for value in values if value.startswith("$")
    }
    assert all(b"BEGIN PGP" not in content for _, content in render(answers).values())


@pytest.mark.slow
def test_scanner_finds_a_secret_where_there_is_one_only(tmp_path: Path) -> None:
    """The scanner is silent about what is rendered, and is not blind (D9)."""
    scan = ("checkov", "--quiet", "--compact", "--framework=secrets", "--directory=.")
    # The fourth rule is for addresses with a password, which examples and tests hold.
    scan = (*scan, "--enable-secret-scan-all-files", "--skip-check=CKV_SECRET_4")
    silent = {"LOG_LEVEL": "CRITICAL"}
    for which in (smallest, largest):
        write(which(), tmp_path / which.__name__)

    clean = lint(tmp_path, *scan, environment=silent)
    planted = f'aws_access_key_id = "{"AKIA"}{"QZ7XN4KPL2MV6RTB"}"\n'
    (tmp_path / "smallest/config/planted.py").write_text(planted)
    found = lint(tmp_path, *scan, environment=silent)

    assert clean == ""
    assert "planted.py" in found


@pytest.mark.slow
def test_secrets_are_kept_as_documented(tmp_path: Path) -> None:
    """The commands of README make a key, encrypt a file and give its variables (D9, U1)."""
    find("age-keygen", "age")
    program = Path(find("sops", "the linters: make linters", folders=(str(BIN),)))
    service = tmp_path / "service"
    write({}, service)
    readme = (service / "README.md").read_text()
    folder, keygen, edit, execute = commands(section(readme, "Secrets"))
    written = tmp_path / "written"
    written.write_text("SECRET_KEY=plain-text\n")

    def run(command: str) -> str:
        environment = {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "EDITOR": f"cp {written}",
        }
        done = subprocess.run(
            ["sh", "-ec", command],
            cwd=service,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    run(folder)
    public = re.search(r"^Public key: (\S+)$", run(keygen), re.MULTILINE)
    assert public
    config = service / ".sops.yaml"
    config.write_text(config.read_text().replace("change-me", public[1]))
    run(edit)
    given = run(execute.replace("docker compose up --wait", "printenv SECRET_KEY"))

    assert "plain-text" not in (service / FILE).read_text()
    assert given == "plain-text\n"
