"""What Cookiecutter makes of the template."""

import json
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from statistics import median

import pytest
from pytest_cookies.plugin import Cookies

from tests.conftest import Cookiecutter
from tests.services import find, missing
from tools.render import SERVICE, Answers, context, options, render, sources
from tools.variables import declared

type Files = dict[str, tuple[int, bytes]]


def files(folder: Path) -> Files:
    """Return mode and content of every file in a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def words(answers: Answers) -> list[str]:
    """Return answers as arguments of the cookiecutter command."""
    return [f"{name}={value}" for name, value in answers.items()]


@pytest.fixture(scope="session")
def service(cookiecutter: Cookiecutter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service with the default answers; what a test changes there, it takes back."""
    output = tmp_path_factory.mktemp("service")
    done = cookiecutter(output)
    assert done.returncode == 0, done.stderr
    return output / "example_service"


def test_defaults_render(cookies: Cookies) -> None:
    """The default answers render a service (T1)."""
    result = cookies.bake()

    assert result.exception is None
    assert (result.project_path / "manage.py").exists()


def test_rendering_needs_nothing_but_cookiecutter(
    cookiecutter: Cookiecutter, template: Path, tmp_path: Path
) -> None:
    """A copy without git renders with no network, and no git, Docker or uv on PATH (T1)."""
    unshare = [find("unshare", "util-linux"), "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        missing("a kernel that lets its users make network namespaces")

    done = cookiecutter(tmp_path, prefix=tuple(unshare))

    assert not (template / ".git").exists()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "example_service" / "manage.py").exists()


def test_every_question_is_a_sentence_and_every_choice_explains_itself() -> None:
    """Each question is one that people ask, and each choice says more than its value (T1)."""
    prompts = context()["__prompts__"]
    questions = {name for name in context() if not name.startswith("_")}

    assert prompts.keys() == questions
    for name, prompt in prompts.items():
        question = prompt if isinstance(prompt, str) else prompt["__prompt__"]
        assert re.match(r"[A-Z][^?]+ [^?]+\?( \(.+\))?$", question), name
    for name, values in options().items():
        if not isinstance(values[0], bool):
            assert list(prompts[name]) == ["__prompt__", *values]
            assert all(len(prompts[name][value]) > len(value) for value in values)


def test_conditions_name_options_and_their_values() -> None:
    """A condition that could never hold, or never fail to, is a mistake (T6)."""
    flags = {name for name, values in options().items() if True in values}
    flags |= {name for name in context() if name.startswith("__") and name != "__prompts__"}
    known = flags | {f"{name}={value}" for name, values in options().items() for value in values}

    assert context()["_only_if"].keys() <= known


def test_conditional_paths_are_files_of_the_template() -> None:
    """What is removed is a file: a folder could hold more than was rendered (T6, T9)."""
    paths = {path for paths in context()["_only_if"].values() for path in paths}

    assert paths
    assert [path for path in sorted(paths) if not (SERVICE / path).is_file()] == []


def test_a_tag_has_one_condition() -> None:
    """Where more decides it, a private key has a name for that; what is generated may combine."""
    generated = {variable.condition for variable in declared()}
    written = [
        (file.path, condition)
        for file in sources()
        if file.template and not fnmatch(file.path, "requirements*.txt")
        for condition in re.findall(r"\{% (?:el)?if (.+?) %\}", file.content.decode())
        if condition not in generated
    ]

    one = re.compile(r'cookiecutter\.\w+( [!=]= "[^"]+")?')
    assert written
    assert [(path, found) for path, found in written if not one.fullmatch(found)] == []


def test_folders_are_rendered_file_by_file() -> None:
    """Cookiecutter replaces a folder that it copies as a whole, with all it holds (T9)."""
    folders = [path.relative_to(SERVICE) for path in SERVICE.rglob("*") if path.is_dir()]

    assert not [
        folder
        for folder in folders
        for pattern in context()["_copy_without_render"]
        if fnmatch(str(folder), pattern)
    ]


def test_path_that_does_not_exist_stops_rendering(
    cookiecutter: Cookiecutter, template: Path, tmp_path: Path
) -> None:
    """The hook names a conditional path that was not rendered, and nothing is left (T6)."""
    broken = tmp_path / "broken"
    shutil.copytree(template, broken)
    answers = json.loads((broken / "cookiecutter.json").read_text())
    answers["_only_if"]["use_redis"].append("apps/nowhere.py")
    (broken / "cookiecutter.json").write_text(json.dumps(answers))
    output = tmp_path / "output"
    output.mkdir()

    done = cookiecutter(output, source=broken)

    assert done.returncode == 1
    assert "apps/nowhere.py" in done.stderr
    assert list(output.iterdir()) == []


def test_existing_service_is_not_touched(cookiecutter: Cookiecutter, service: Path) -> None:
    """Cookiecutter refuses a folder that exists already (T9)."""
    before = files(service)

    done = cookiecutter(service.parent, "author_name=Somebody else")

    assert done.returncode == 1
    assert "already exists" in done.stdout
    assert files(service) == before


def test_overwriting_leaves_what_the_template_does_not_know(
    cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    """With --overwrite-if-exists .env and files of one's own survive in every folder (T9)."""
    service = tmp_path / "example_service"
    folders = {".", *(str(path.parent.relative_to(SERVICE)) for path in SERVICE.rglob("*"))}
    own = [service / ".env", *(service / folder / "own.txt" for folder in folders)]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    smallest = {name: "none" for name, values in options().items() if "none" in values}

    done = cookiecutter(tmp_path, "--overwrite-if-exists", *words(smallest))

    assert done.returncode == 0, done.stderr
    assert [path for path in own if not path.exists() or path.read_text() != "mine"] == []
    assert (service / "manage.py").exists()


def test_same_answers_give_the_same_files(
    cookiecutter: Cookiecutter, service: Path, tmp_path: Path
) -> None:
    """A second render gives the same bytes and modes (T10)."""
    done = cookiecutter(tmp_path)

    assert done.returncode == 0
    assert files(tmp_path / "example_service") == files(service)


def test_in_process_renders_are_those_of_the_command(
    cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    """What the matrix checks is what the command renders, for any answers (T10, T11)."""
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    choice = random.Random(seed).choice
    for number in range(3):
        answers = {name: choice(values) for name, values in options().items()}
        answers |= {"project_slug": f"number_{number}", "project_name": "'é\" \\ #$ 🚀 &amp;"}

        done = cookiecutter(tmp_path, *words(answers))

        told = f"SEED={seed}: {shlex.join(words(answers))}"
        assert done.returncode == 0, f"{told}\n{done.stderr}"
        assert files(tmp_path / f"number_{number}") == render(answers), told


def test_hook_ends_with_the_choices_and_two_commands(
    cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    """The hook says what was chosen, and the two commands that come next work (T10)."""
    output = tmp_path / "a b"

    done = cookiecutter(output, "server=uvicorn", "use_kubernetes=yes")

    *said, change, run = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    chosen = dict(word.split("=") for line in said for word in line.split() if "=" in word)
    assert chosen.keys() == options().keys()
    assert (chosen["server"], chosen["use_kubernetes"]) == ("uvicorn", "true")
    assert shlex.split(change) == ["cd", str(output / "example_service")]
    assert run == "make run"


def test_env_is_written_once_with_a_fresh_key(service: Path) -> None:
    """Make copies .env.example with a key of its own, for the owner alone, and only once (T10)."""
    make = [find("make", "make"), "--no-print-directory", ".env"]
    env = service / ".env"
    example = (service / ".env.example").read_text()

    try:
        subprocess.run(make, cwd=service, check=True, capture_output=True, timeout=60)
        first = env.read_text()
        mode = env.stat().st_mode & 0o777
        os.utime(env, (0, 0))
        subprocess.run(make, cwd=service, check=True, capture_output=True, timeout=60)
        second = env.read_text()
        env.unlink()
        subprocess.run(make, cwd=service, check=True, capture_output=True, timeout=60)
        third = env.read_text()
    finally:
        env.unlink(missing_ok=True)

    key = r"(?m)^SECRET_KEY=(.*)$"
    keys = [re.findall(key, text) for text in (first, third)]
    assert all(len(found) == 1 and len(found[0]) >= 50 for found in keys)
    assert keys[0] != keys[1]
    assert re.sub(key, "SECRET_KEY=change-me", first) == example
    assert second == first
    assert mode == 0o600


def test_files_that_are_copied_hold_no_tag() -> None:
    """What Cookiecutter copies to save time has nothing to render (P5)."""
    copied = [file for file in sources() if file.template is None]

    tagged = [file.path for file in copied if b"cookiecutter." in file.content]

    assert copied
    assert tagged == []


def test_rendering_takes_half_a_second(cookiecutter: Cookiecutter, tmp_path: Path) -> None:
    """A render costs at most 0.5 s of computing more than that of an empty template (P5)."""
    empty = tmp_path / "empty"
    (empty / "{{cookiecutter.project_slug}}").mkdir(parents=True)
    (empty / "cookiecutter.json").write_text('{"project_slug": "nothing"}')

    def seconds(run: Callable[[], subprocess.CompletedProcess[str]]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run().returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # In turns, so that both meet a busy moment, if there is one.
    renders, starts = [], []
    for n in range(5):
        renders.append(seconds(lambda n=n: cookiecutter(tmp_path / str(n))))
        starts.append(seconds(lambda n=n: cookiecutter(tmp_path / str(n), source=empty)))

    # Where an empty template takes longer than a quarter of a second, the machine is slow or busy.
    start = median(starts)
    assert median(renders) - start <= 0.5 * max(1, start / 0.25)
