"""What may be answered, and that each accepted text is right wherever it is rendered."""

import ast
import html
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from packaging.utils import canonicalize_name

from hooks.pre_gen_project import DEPENDENCIES, SLUG, problems
from tests.conftest import Cookiecutter
from tests.services import missing
from tools.render import SERVICE, complete, context, pairwise, render, sources, write

PLAIN = {
    "project_name": "Plain name",
    "description": "Plain description",
    "author_name": "Plain author",
    "author_email": "plain@mail.example.com",
    "domain_name": "plain.example.com",
}
RUFF = Path(sys.executable).with_name("ruff")


# Refusal


@pytest.mark.parametrize("slug", ["a/b", "../x", "", "test", "a" * 300])
def test_refused_slug_leaves_nothing(cookiecutter: Cookiecutter, tmp_path: Path, slug: str) -> None:
    """A slug that names no folder, or something else, ends with status 1 and no folder (T4)."""
    output = tmp_path / "output"
    output.mkdir()

    done = cookiecutter(output, f"project_slug={slug}")

    assert done.returncode == 1
    assert "project_slug" in done.stderr
    assert list(tmp_path.rglob("*")) == [output]


def test_all_problems_are_listed_at_once(cookiecutter: Cookiecutter, tmp_path: Path) -> None:
    """Each bad answer gets a sentence of its own in the one list (T4)."""
    bad = {
        "project_name": "",
        "project_slug": "class",
        "description": "a\tb",
        "author_name": "x" * 201,
        "author_email": "nobody",
        "domain_name": "https://example.com",
    }

    done = cookiecutter(tmp_path, *(f"{name}={value}" for name, value in bad.items()))

    listed = re.findall(r"(?m)^  - (\w+) .*\.$", done.stderr)
    assert done.returncode == 1
    assert sorted(listed) == sorted(bad)
    assert list(tmp_path.iterdir()) == []


def test_refused_answers_leave_an_existing_service_alone(
    cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    """Bad answers change nothing in a folder that is to be overwritten (T4, T9)."""
    kept = tmp_path / "example_service" / "README.md"
    kept.parent.mkdir()
    kept.write_text("mine")

    done = cookiecutter(tmp_path, "--overwrite-if-exists", "author_email=nobody")

    assert done.returncode == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("project_slug", slug) for slug in ["Abc", "a-b", "a__b", "_a", "a_", "1a", "é", "a b"]),
        *(
            ("project_slug", slug)
            for slug in ["import", "json", "test", "django", "rest_framework"]
        ),
        *(
            ("author_name", f"a{text}b")
            for text in ["\0", "\n", "\x7f", "\x85", "\u2028", "\ud800"]
        ),
        *(("author_name", f"a{text}b") for text in ["\ufeff", "\ufffe", "\ufdd0", "\u202e"]),
        *(
            ("description", text)
            for text in ["", " ", " a", "a\u00a0", "{" + "{ a", "a {% b", "{#"]
        ),
        *(
            ("author_email", text)
            for text in ["", "@", "a@", "a@b", "a b@c.de", "a@b..de", "a@b.de\n"]
        ),
        *(("author_email", text) for text in [".a@b.de", "a..b@c.de", 'a"@b.de', "a@b@c.de"]),
        *(
            ("domain_name", text)
            for text in ["", "localhost", "1.2.3.4", "-a.de", "a.de.", "a_b.de"]
        ),
        *(
            ("domain_name", text)
            for text in ["a.de:80", "a.de/b", "A.de", "é.de", "*.de", "a.de\n"]
        ),
        ("domain_name", f"{'a' * 64}.de"),
        ("domain_name", f"{'a.' * 126}de"),
    ],
    ids=repr,
)
def test_bad_answer_is_refused(name: str, text: str) -> None:
    """What is wrong with an answer is said in one sentence that names it (T4)."""
    found = list(problems(complete({name: text})))

    assert len(found) == 1
    assert found[0].startswith(f"{name} ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("project_slug", slug) for slug in ["a", "a1", "a_1_b", "match", "x" * 40]),
        *(("author_email", text) for text in ["o'neil+tag@a-b.co.uk", "A_B%c@Example.COM"]),
        *(("domain_name", text) for text in ["a.de", "a-b.1c.xn--p1ai", f"{'a' * 63}.de"]),
        *(("author_name", text) for text in ["}}", "Ω", "\u200f\u05d0", "👩\u200d🚀", "x" * 200]),
    ],
    ids=repr,
)
def test_good_answer_is_accepted(name: str, text: str) -> None:
    """Nothing is refused that can be made right (T4, T5)."""
    assert list(problems(complete({name: text}))) == []


def test_default_slug_of_a_long_name_is_accepted() -> None:
    """A name of 200 characters needs no slug of one's own (T5)."""
    assert list(problems(complete({"project_name": "long name " * 19 + "of service"}))) == []


def test_names_of_dependencies_are_refused() -> None:
    """The hook knows each package and module that any service installs, and no other (T4)."""
    text = "".join((SERVICE / f"requirements{kind}.txt").read_text() for kind in ("", "-dev"))
    packages = set(re.findall(r"(?m)^([\w.-]+)==", text))
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if packages & {canonicalize_name(name) for name in distributions}
    }

    names = modules | {package.replace("-", "_") for package in packages}
    expected = {name for name in names if SLUG.fullmatch(name)} - sys.stdlib_module_names
    known = set(DEPENDENCIES.split()) - sys.stdlib_module_names
    assert known == expected, f"add {expected - known} and remove {known - expected}"


def test_names_of_the_layout_are_refused() -> None:
    """A slug is no name that stands in the service's own folder (T4)."""
    modules = [path for path in SERVICE.iterdir() if path.is_dir() or path.suffix == ".py"]
    names = {path.stem for path in modules if SLUG.fullmatch(path.stem)}

    assert names
    assert all(list(problems(complete({"project_slug": name}))) for name in names)


# Texts, read back from every file that holds one

# A host name needs no quotes in any format.
QUOTED_TEXTS = PLAIN.keys() - {"domain_name"}
TEXTS = QUOTED_TEXTS | {
    name
    for name, raw in context().items()
    if name.startswith("__") and any(f".{text}" in str(raw) for text in QUOTED_TEXTS)
}


def leaves(value: Any) -> Iterator[Any]:
    """Yield the keys and values of nested lists and objects."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def python(text: str) -> Iterator[Any]:
    """Yield each node of Python code by its type, and constants by their value."""
    for node in ast.walk(ast.parse(text)):
        yield node.value if isinstance(node, ast.Constant) else type(node)


def markdown(text: str) -> Iterator[Any]:
    """Yield each element of Markdown by its type, and the text that a reader sees."""
    for block in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        for token in block.children or [block]:
            yield token.type
            yield token.content


QUOTED = r'"((?:[^"\\]|\\.)*)"'


def dockerfile(text: str) -> Iterator[str]:
    """Yield the lines of a Dockerfile, without quotes in LABEL as its reference defines them."""
    for line in text.replace("\\\n", "").splitlines():
        if not line.startswith("LABEL"):
            yield line
            continue
        for name, value in re.findall(rf"([\w.]+)={QUOTED}", line):
            # A dollar sign that is not escaped stands for a variable: \0 tells them apart.
            yield name + re.sub(r'\\(["$\\])|\$', lambda found: found[1] or "\0", value)
        yield re.sub(rf"[\w.]+={QUOTED}", "", line)


READERS = {
    ".json": lambda text: leaves(json.loads(text)),
    ".md": markdown,
    ".py": python,
    ".toml": lambda text: leaves(tomllib.loads(text)),
    ".yaml": lambda text: leaves(list(yaml.safe_load_all(text))),
    ".yml": lambda text: leaves(list(yaml.safe_load_all(text))),
    "Dockerfile": dockerfile,
    "LICENSE": str.splitlines,
}


def read(path: str, content: bytes) -> list[Any]:
    """Return what a program finds in a file: its texts, and what stands around them."""
    reader = READERS.get(Path(path).name) or READERS[Path(path).suffix]
    return list(reader(content.decode()))


def put(answers: Mapping[str, str], value: Any) -> Any:
    """Return what was read with plain answers, with other answers in their place."""
    if not isinstance(value, str):
        return value
    names = {text: name for name, text in PLAIN.items()}
    return re.sub("|".join(names), lambda found: answers[names[found[0]]], value)


def ruff(config: Path, path: str, content: bytes) -> None:
    """Fail unless a file is formatted and without a finding, by the service's own rules."""
    options = ["--no-cache", "--config", config, "--stdin-filename", config.parent / path, "-"]
    for command in (["format", "--check", "--diff"], ["check", "--ignore=I"]):
        done = subprocess.run(
            [RUFF, *command, *options],
            input=content,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


def check(options: Mapping[str, Any], answers: Mapping[str, str], folder: Path) -> None:
    """Fail unless each file says with these answers what it says with plain ones."""
    plain = render({**options, **PLAIN, "project_slug": "slug"})
    files = render({**options, **answers, "project_slug": "slug"})

    holding = {source.path for source in sources() if TEXTS.intersection(source.names)}
    config = folder / "pyproject.toml"
    config.write_bytes(plain["pyproject.toml"][1])
    for path in files.keys() & holding:
        expected = [put(answers, value) for value in read(path, plain[path][1])]
        assert read(path, files[path][1]) == expected, path
        if path.endswith(".py"):
            ruff(config, path, files[path][1])


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from("\"'\\{}#:<>&$`%|*_[]()!~-+.=;,/@^? 01aZ"),
        st.sampled_from(
            ["é", "漢", "\u05d0", "👩\u200d🚀", "&amp;", "${a}", "\\n", " #", "1. ", "- "]
        ),
        st.characters(exclude_categories=["C", "Zl", "Zp"]),
    ),
    min_size=1,
).map("".join)
ACCEPTED = HOSTILE.map(lambda text: re.sub(r"\{(?=[{%#])", "{ ", text)[:200].strip()).filter(bool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the rules that rendered code is held to."""
    return tmp_path_factory.mktemp("rules")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(pairwise()),
    st.fixed_dictionaries(
        {
            "project_name": ACCEPTED,
            "description": ACCEPTED,
            "author_name": ACCEPTED,
            "author_email": st.sampled_from(["o'neil+a%20b@example.com", "1@xn--p1ai.example"]),
            "domain_name": st.sampled_from(["1.a-b.example", f"{'a' * 63}.example"]),
        }
    ),
)
@example(
    {}, PLAIN | {"project_name": '"' * 200, "description": "\\" * 200, "author_name": "'" * 200}
)
@example({}, PLAIN | {"project_name": "1. C# & Co; #", "description": "- $HOME ${a} $$ \\$"})
@example({}, PLAIN | {"project_name": "``` <b>*_|~ &lt;", "description": "2) [a](b) ![c](d) \\"})
@example({}, PLAIN | {"project_name": "\"\"\"'''", "description": "\\N{DASH} %s {0} {}} '\"\\"})
def test_accepted_texts_are_right_in_every_file(
    folder: Path, options: dict[str, Any], answers: dict[str, str]
) -> None:
    """Each text is read back from each format as it was typed, and code stays formatted (T5)."""
    assert list(problems(complete({**answers, "project_slug": "slug"}))) == []

    check(options, answers, folder)


@settings(max_examples=60, deadline=None)
@given(text=st.one_of(st.text(max_size=210), HOSTILE))
def test_any_text_is_refused_or_right(folder: Path, text: str) -> None:
    """There is no text that is accepted and then wrong (T4, T5)."""
    answers = {**PLAIN, "project_name": text, "description": text, "author_name": text}

    if not list(problems(complete({**answers, "project_slug": "slug"}))):
        check({}, answers, folder)


ASK = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from django.test import Client
client = Client(headers={"host": "localhost", "accept": "text/html, application/json"})
paths = ("/health", "/admin/login/", "/api/v1/openapi.json")
print(json.dumps({path: client.get(path).content.decode() for path in paths}))
"""


@pytest.mark.parametrize("api", ["ninja", "drf"])
def test_name_is_right_on_pages_and_in_the_schema(tmp_path: Path, api: str) -> None:
    """The name comes out of HTML and of the API's JSON as it was typed (T5)."""
    name = "<b>\"A\" & 'B'</b> \\ { x } $HOME &amp; #1 é 🚀"
    write({"project_name": name, "project_slug": "slug", "api": api}, tmp_path)
    environment = {"DEBUG": "true", "LOG_LEVEL": "error", "PYTHONDONTWRITEBYTECODE": "1"}

    ask = [sys.executable, "-c", ASK]
    done = subprocess.run(ask, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    pages = json.loads(done.stdout.splitlines()[-1])
    assert json.loads(pages["/api/v1/openapi.json"])["info"]["title"] == name
    for path in ("/health", "/admin/login/"):
        title = re.search(r"(?s)<title>(.*?)</title>", pages[path])
        assert title
        assert name in html.unescape(title[1])
        assert "<b>" not in pages[path]


@pytest.mark.slow
def test_labels_of_an_image_are_the_texts(tmp_path: Path) -> None:
    """Docker itself reads name and description from the labels as they were typed (T5)."""
    if subprocess.run(["docker", "version"], capture_output=True).returncode:
        missing("Docker Engine: see https://docs.docker.com/engine/install/")
    answers = {
        "project_name": '"quotes" \'more\' \\ \\" \\$HOME $HOME ${HOME} `x` # <b>&amp; é 🚀',
        "description": "$ \\n $(id) %s {} \\\\" + "\\" * 100,
        "project_slug": "slug",
    }
    text = render(answers, only="Dockerfile")["Dockerfile"][1].decode()
    label = re.search(r"(?ms)^LABEL.*?[^\\]$", text)
    assert label
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\n{label[0]}\n")

    build = ["docker", "build", "--quiet", str(tmp_path)]
    image = subprocess.run(build, capture_output=True, text=True, check=True, timeout=120).stdout
    form = "--format={{json .Config.Labels}}"
    inspect = ["docker", "image", "inspect", form, image.strip()]
    labels = json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)
    subprocess.run(["docker", "image", "rm", image.strip()], capture_output=True, check=True)

    assert labels["org.opencontainers.image.title"] == answers["project_name"]
    assert labels["org.opencontainers.image.description"] == answers["description"]
