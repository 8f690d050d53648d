"""What the documents say is true."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.documents import commands, section
from tools.render import (
    APART,
    ROOT,
    SERVICE,
    Answers,
    command,
    complete,
    context,
    full_product,
    largest,
    options,
    pairwise,
    render,
    sources,
    write,
)

README = (ROOT / "README.md").read_text()
DOCUMENTS = (README, (ROOT / "CONTRIBUTING.md").read_text())
# Who runs the commands that the documents show: a test, and words of its file that say so.
RUN_BY = {
    r"make demo": ("test_trial.py", 'assert first == "make demo"'),
    r"make run": ("test_trial.py", '"Serving at http://'),
    r"make (migrations|format) [a-z ]+": ("test_trial.py", '"Development")'),
    r"curl -s http://127\.0\.0\.1:8000/health": ("test_trial.py", 'section(readme, "Health")'),
    r"python manage\.py check_dependencies .+": ("test_trial.py", 'section(readme, "Health")'),
    r"TOKEN=.+ create_token .+": ("test_trial.py", 'section(readme, "API")'),
    r"python manage\.py createsuperuser": ("test_trial.py", "--no-input"),
    r"curl -s -H \"Authorization: .+": ("test_trial.py", 'section(readme, "API")'),
    r"rm -r apps/notes|sed .+": ("test_example.py", "## Example"),
    r"make image": ("test_trial.py", 'build == "make image"'),
    r"make (up|down)": ("test_compose.py", 'project.run("make", "up")'),
    r"DOMAIN=\S+ make up-tls": ("test_tls.py", 'site.run("make", "up-tls")'),
    r"export COMPOSE_FILE=.+": ("test_tls.py", '"COMPOSE_FILE": "compose.yaml:compose.tls.yaml"'),
    r"ALTER ROLE .+": ("test_pooler.py", 'startswith("ALTER ROLE ")'),
    r"(mkdir|age-keygen|sops) .+": ("test_secrets.py", 'section(readme, "Secrets")'),
    r"make backup": ("test_backups.py", 'run("make", "backup")'),
    r"make restore": ("test_backups.py", 'run("make", "restore")'),
    r"docker compose (build|up --wait postgres|run .+ restore)": (
        "test_backups.py",
        'if line.startswith("docker ")',
    ),
    r"make update": ("test_upgrade.py", '"make"'),
    r"cookiecutter gh:.+": ("conftest.py", '"cookiecutter", str(source)'),
    r"cruft create .+": ("test_upgrade.py", '"cruft", "create"'),
    r"make matrix": ("test_matrix.py", '"tools.matrix"'),
}
# What takes another machine, or would run these tests within these tests.
ELSEWHERE = {
    r"kubectl .+|cp deploy/kubernetes/.+|make deploy": "takes a cluster",
    r"git (tag|push) .+": "takes a forge",
    r"docker run --env-file .+": "takes a file of one's own; tests/test_image.py runs the image",
    r"export AWS_.+": "takes a bucket; tests/test_compose.py gives it one",
    r"curl -s http://10\..+": "shows an address like those of containers",
    r"make bench": "takes a machine that does nothing else",
    r"make lock": "pins what is newest today",
    r"make test": "runs these tests",
}


# What logs something worse than news.
LOGGING = r"logger\.(warning|error|exception|critical|log)|log_response"


def fences(path: Path) -> list[str]:
    """Return the content of each fenced block of a document."""
    return re.findall(r"^```\w*\n(.+?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def test_readme_lists_every_option_with_its_values() -> None:
    """The options' table says what cookiecutter.json asks, in its order (U1)."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", README)
    texts = re.findall(r"(?m)^\| (`\w+`(?:, `\w+`)+) \|", README)

    questions = {name for name in context() if not name.startswith("_")} - set(options())
    assert set(re.findall(r"\w+", " ".join(texts))) == questions
    expected = [
        (name, ", ".join(json.dumps(value).strip('"') for value in values))
        for name, values in options().items()
    ]
    assert rows == expected


def test_readme_shows_the_tree_that_is_rendered() -> None:
    """Every path in the tree of README is rendered by the default answers (U1)."""
    rows = re.findall(r"(?m)^([│ ]*)[├└]── (\S+)", README)
    rendered = render(complete({}))
    plain = {"LICENSE", "conftest.py", "requirements-dev.txt", "requirements-update.txt"}

    folders: list[str] = []
    named = []
    for indent, name in rows:
        folders[len(indent) // 4 :] = [name]
        named.append("".join(folders))
    exist = {f"{path}/"[: len(name)] for path in rendered for name in named}
    assert named
    assert [name for name in named if name not in exist] == []
    top = {path.partition("/")[0] for path in rendered if not path.startswith(".")}
    assert top - plain == {name.partition("/")[0] for name in named} - {".env.example"}


@pytest.mark.parametrize("answers", [*pairwise(), largest()], ids=command)
def test_tree_of_a_service_is_what_it_consists_of(answers: Answers, tmp_path: Path) -> None:
    """The tree of a service's README leaves nothing out, and has nothing more (U1)."""
    write(answers, tmp_path)
    tree = re.findall(r"^( *)([\w./*-]+)  +(.+)$", fences(tmp_path / "README.md")[0], re.MULTILINE)
    plain = {"LICENSE", "Makefile", "README.md", "conftest.py"}

    folder = ""
    for indent, name, _ in tree:
        folder = folder if indent else name
        assert list(tmp_path.glob(f"{folder}{name}" if indent else name)), name
    words = " ".join(f"{name} {text}" for _, name, text in tree).replace("*", "")
    for path in tmp_path.iterdir():
        known = path.name in words or path.name.partition("-")[0] in words
        assert path.name.startswith(".") or path.name in plain or known, path.name


def test_picture_is_that_of_the_largest_service(tmp_path: Path) -> None:
    """The picture of all dependencies is the one that the largest service shows (U1)."""
    write(largest(), tmp_path)

    pictures = [
        [fence for fence in fences(folder / "README.md") if fence.startswith("flowchart")]
        for folder in (ROOT, tmp_path)
    ]
    assert len(pictures[0]) == 1
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("answers", [*pairwise(), largest()], ids=command)
def test_picture_of_a_service_has_what_compose_runs(answers: Answers) -> None:
    """The picture names the containers that keep running, and no others (U1, D4)."""
    files = render(answers)
    picture = files["README.md"][1].decode().partition("flowchart LR\n")[2].partition("```")[0]
    services = yaml.safe_load(files["compose.yaml"][1])["services"]

    named = set(re.findall(r"[a-z]+(?=$|\[| -)", picture, re.MULTILINE)) - {"callers"}
    assert named == {name for name, it in services.items() if it.get("restart") != "no"}


def test_map_names_each_tool_and_what_exists() -> None:
    """The map of the repository is complete, and leads nowhere else (U1)."""
    rows = section((ROOT / "CONTRIBUTING.md").read_text(), "Map").splitlines()

    named = {path for row in rows for path in re.findall(r"`([^` ]+)`", row.rpartition(" | ")[0])}
    tools = {f"tools/{path.name}" for path in (ROOT / "tools").glob("*.py")} - {"tools/__init__.py"}
    assert tools <= named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_recipe_for_an_option_names_each_file() -> None:
    """The worked example lists the files of the service that name its option (U1)."""
    recipe = section((ROOT / "CONTRIBUTING.md").read_text(), "Adding an option")

    named = {path for path in re.findall(r"`([\w./-]+)`", recipe) if (SERVICE / path).is_file()}
    assert named == {file.path for file in sources() if b"use_elasticsearch" in file.content}


def test_number_of_combinations_is_that_of_the_matrix() -> None:
    """Contributors read how many services are checked, and what does not multiply them (U1)."""
    how = section((ROOT / "CONTRIBUTING.md").read_text(), "How every combination is checked")

    assert f"There are {len(full_product()):,}:" in how
    assert [name for name in options() if f"`{name}`" in how] == list(APART)


def test_template_is_no_larger_than_contributors_read() -> None:
    """What makes a template hard to read is counted, and stays within bounds (T8)."""
    size = section((ROOT / "CONTRIBUTING.md").read_text(), "How large it may get")
    bounds = dict(re.findall(r"(?m)^\| ([a-z].+) \| (\d+) \|$", size))
    texts = {file.path: file.content.decode() for file in sources() if file.template}
    conditions = {
        path: len(re.findall(r"\{% (?:el)?if ", text))
        for path, text in texts.items()
        if path != ".env.example" and not path.startswith("requirements")
    }
    settings = render(largest(), only="config/settings.py")["config/settings.py"][1]
    hooks = [path.read_text() for path in (ROOT / "hooks").glob("*_gen_project.py")]

    counted = {
        "files with a condition, among a hundred": 100
        * len([path for path, count in conditions.items() if count])
        / len(sources()),
        "conditions in all of them": sum(conditions.values()),
        "files that name the same option": max(
            len([path for path, text in texts.items() if f"cookiecutter.{name} " in text])
            for name in options()
        ),
        "lines of a hook": max(len(hook.splitlines()) for hook in hooks),
        "lines of `settings.py` in the largest service": len(settings.splitlines()),
    }
    assert bounds.keys() == counted.keys()
    assert {what: count for what, count in counted.items() if count > int(bounds[what])} == {}


def logged(text: str) -> Iterator[str]:
    """Yield the first words that are fixed of each warning, and of what is worse, in code."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and re.fullmatch(LOGGING, ast.unparse(node.func)):
            texts = [it.value for it in node.args if isinstance(it, ast.Constant)]
            for message in (it for it in texts if isinstance(it, str)):
                parts = (part.strip() for part in re.split(r"%[.\d]*\w|[:;,(]", message))
                yield next((part for part in parts if " " in part), message)


@pytest.mark.parametrize("answers", [*pairwise(), largest()], ids=command)
def test_runbook_explains_what_the_service_logs(answers: Answers) -> None:
    """Whatever the service's own code warns of has a row in its README (U1, H3)."""
    files = {path: content.decode() for path, (_, content) in render(answers).items()}
    rows = re.findall(r"(?m)^\| .*?`[^|]+", section(files["README.md"], "Start-up"))

    messages = {
        message
        for path, text in files.items()
        if path.endswith(".py") and "tests/" not in path
        for message in logged(text)
    }
    assert "is down at" in messages
    assert [message for message in messages if message not in " ".join(rows)] == []


def test_readme_names_tests_that_exist() -> None:
    """Every guarantee names a test that shows it (U1)."""
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    names = set(re.findall(r"`(test_\w+)`", README))
    assert names
    assert names <= set(re.findall(r"def (test_\w+)", code))


def test_each_command_of_a_document_is_run_by_a_test() -> None:
    """What readers are told to type is typed by a test, which is named here (U1)."""
    services = [render(answers, only="README.md") for answers in [*pairwise(), largest()]]
    texts = [*DOCUMENTS, *(files["README.md"][1].decode() for files in services)]

    typed = {command for text in texts for command in commands(text)}
    known = [*RUN_BY, *ELSEWHERE]
    found = {it: [entry for entry in known if re.fullmatch(entry, it)] for it in typed}

    assert {it: entries for it, entries in found.items() if len(entries) != 1} == {}
    assert [entry for entry in known if not any(map(re.compile(entry).fullmatch, typed))] == []


def test_files_that_run_documented_commands_hold_them() -> None:
    """The words that show where a command is run are in the file that is named (U1)."""
    missing = {
        name: words
        for name, words in RUN_BY.values()
        if words not in (ROOT / "tests" / name).read_text()
    }

    assert missing == {}
