"""The matrix finds what is broken, wherever it is broken."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, product
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import pytest

from tools import matrix, render
from tools.checks import is_test
from tools.render import APART, ROOT, SERVICE, Answers, context, full_product, options, pairwise

type Check = Callable[..., str]

PAIR = '{% if cookiecutter.static_files == "s3" and not cookiecutter.use_redis %}\n'


def problems(group: list[Answers], path: str = "", old: str = "", new: str = "") -> list[str]:
    """Return what the matrix finds in services, with one change in one file of the template.

    Where nothing old is named, the file is a new one that only one pair of answers has.
    """
    originals, private = render.sources(), {}
    if path and not old:
        private["_only_if"] = context()["_only_if"] | {"__pair": [path]}
        private["__pair"] = f"{PAIR}y{{% endif %}}"

    def sources() -> list[render.Source]:
        if private:
            return [*originals, render.Source(path, 0o644, new.encode(), None, ())]
        return [change(file, old, new) if file.path == path else file for file in originals]

    with mock.patch.object(render, "sources", sources), mock.patch.dict(context(), private):
        return matrix.check([render.complete(answers) for answers in group])


def change(file: render.Source, old: str, new: str) -> render.Source:
    """Return a file of the template with another text in one place."""
    text = file.content.decode()
    assert old in text, f"{file.path} has no {old!r} to be changed"
    text = text.replace(old, new, 1)
    # A tag counts even in a file that is copied as it is.
    template, names = render.environment().from_string(text), render.names(text)
    return render.Source(file.path, file.mode, text.encode(), template, names)


@pytest.fixture(scope="module")
def check_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[str]]]:
    """Run ``problems`` in a process like those of the matrix."""
    folder = tmp_path_factory.mktemp("matrix")
    with ProcessPoolExecutor(1, get_context("spawn"), matrix.start, [folder]) as pool:
        yield lambda *arguments: pool.submit(problems, *arguments).result()


@pytest.fixture(scope="module")
def check(check_all: Callable[..., list[str]]) -> Check:
    """Return a function that returns what is wrong with a single service."""
    return lambda answers, *change: check_all([answers], *change)[0]


BREAKAGES = {
    "deployment check": (
        {},
        "config/settings.py",
        "default=0 if DEBUG else 31_536_000",
        "default=0",
        "security.W004",
    ),
    "middleware": (
        {"static_files": "s3"},
        "config/settings.py",
        '    "django.middleware.security.SecurityMiddleware",\n',
        "",
        "security.W001",
    ),
    "silenced check": (
        {},
        "config/settings.py",
        "\nenv.check()",
        '\nSILENCED_SYSTEM_CHECKS = ["security.W003"]\nenv.check()',
        "silenced",
    ),
    "deprecated setting": (
        {"logging": "mozlog"},
        "config/settings.py",
        "\nenv.check()",
        '\nEMAIL_HOST = "localhost"\nenv.check()',
        "EMAIL_HOST",
    ),
    "variable": (
        {"use_redis": True},
        "config/settings.py",
        '    "REDIS_URL",',
        '    "REDIS_URI",',
        "REDIS_URI is missing",
    ),
    "settings of a server": (
        {"server": "daphne"},
        "config/settings.py",
        '"max_size": DATABASE_POOL_SIZE',
        '"max_size": POOL_SIZE',
        "NameError: name 'POOL_SIZE'",
    ),
    "answer in a tag": (
        {},
        "config/settings.py",
        '{% if cookiecutter.task_queue == "database" %}',
        '{% if cookiecutter.queue == "database" %}',
        "has no attribute 'queue'\nin config/settings.py",
    ),
    "tag without its end": (
        {"use_elasticsearch": True},
        "config/settings.py",
        "{% if cookiecutter.use_elasticsearch %}",
        "",
        "TemplateSyntaxError",
    ),
    "syntax": (
        {"use_elasticsearch": True},
        "apps/common/probes/elasticsearch.py",
        "def probes()",
        "def probes(",
        "SyntaxError",
    ),
    "model without migration": (
        {"api": "none"},
        "apps/users/models.py",
        '    """A user of this service: its own model from the start, so that it can grow."""',
        "    class Meta(AbstractUser.Meta):\n        ordering = ('username',)",
        "makemigrations --check",
    ),
    "migration": (
        {"task_queue": "redis"},
        "apps/users/migrations/0002_groups.py",
        '("users", "0001_initial")',
        '("users", "0001_begin")',
        "NodeNotFoundError",
    ),
    "address": (
        {"api": "none"},
        "config/urls.py",
        "path(settings.ADMIN_URL, admin.site.urls)",
        "path(settings.ADMIN_PATH, admin.site.urls)",
        "ADMIN_PATH",
    ),
    "view": (
        {"api": "none"},
        "config/urls.py",
        'path("", RedirectView',
        'path("", None if True else RedirectView',
        "view must be a callable",
    ),
    "name of an address": (
        {"api": "none"},
        "config/urls.py",
        'name="index"',
        'name="index:page"',
        "index:page leads to no address",
    ),
    "application": (
        {"server": "uvicorn"},
        "config/asgi.py",
        "application = get_asgi_application()",
        "app = get_asgi_application()",
        "application",
    ),
    "start-up": (
        {"server": "uwsgi"},
        "apps/common/startup.py",
        "from apps.common import health",
        "from apps.common import wealth",
        "wealth",
    ),
    "module that only a worker loads": (
        {"task_queue": "rabbitmq"},
        "config/celery.py",
        "import Celery",
        "import Parsley",
        "Parsley",
    ),
    "library that is not locked": (
        {"use_redis": False, "task_queue": "database"},
        "apps/users/tasks.py",
        '"""\n',
        '"""\nimport redis\n',
        "apps/users/tasks.py needs redis",
    ),
    "library that a setting names": (
        {"static_files": "nginx"},
        "config/settings.py",
        "django.middleware.gzip.GZipMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "config/settings.py needs whitenoise",
    ),
    "word on standard error": (
        {},
        "apps/users/apps.py",
        '    name = "apps.users"',
        '    name = "apps.users"\n    print("Hello")',
        "Hello",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_breakage_is_found_and_its_combination_named(check: Check, breakage: str) -> None:
    """One broken line fails the service that has it, and the report says which (T11)."""
    answers, path, old, new, expected = BREAKAGES[breakage]

    sound = check(answers)
    found = check(answers, path, old, new)
    report = "".join(matrix.explained([(render.complete(answers), found)]))

    assert not sound
    assert expected in found
    assert render.command(answers) in report


@pytest.mark.parametrize("breakage", ["syntax", "application", "settings of a server"])
def test_breakage_leaves_other_combinations_alone(check: Check, breakage: str) -> None:
    """A broken line fails no service that lacks it, so that a failure points to its cause (T11)."""
    _, path, old, new, _ = BREAKAGES[breakage]

    found = check({}, path, old, new)

    assert not found


RARE_BREAKAGES = {
    "setting that no other reads": (
        "config/settings.py",
        "\nenv.check()",
        f'\n{PAIR}SILENCED_SYSTEM_CHECKS = ["security.W003"]\n{{% endif %}}\nenv.check()',
        "silenced",
    ),
    "setting that is read while loading": (
        "config/settings.py",
        "\nenv.check()",
        f'\n{PAIR}INSTALLED_APPS += ["apps.nothing"]\n{{% endif %}}\nenv.check()',
        "apps.nothing",
    ),
    "setting that only a server reads": (
        "config/settings.py",
        "\nenv.check()",
        f"\n{PAIR}assert process.role == 'command'\n{{% endif %}}\nenv.check()",
        "AssertionError",
    ),
    "import of the settings": (
        "config/settings.py",
        "\nenv.check()",
        f"\n{PAIR}from apps.users import models\n{{% endif %}}\nenv.check()",
        "Apps aren't loaded yet",
    ),
    "model without migration": (
        "apps/users/models.py",
        "class User(AbstractUser):\n",
        "class User(AbstractUser):\n"
        f"{PAIR}    class Meta(AbstractUser.Meta):\n        ordering = ('username',)\n"
        "{% endif %}\n",
        "makemigrations --check",
    ),
    "address": (
        "config/urls.py",
        "urlpatterns = [\n",
        f'urlpatterns = [\n{PAIR}    path("x/", None),\n{{% endif %}}\n',
        "view must be a callable",
    ),
    "migration of its own": (
        "apps/users/migrations/0003_user_nickname.py",
        "",
        "from django.db import migrations, models\n\n\n"
        "class Migration(migrations.Migration):\n"
        "    dependencies = [('users', '0002_groups')]\n"
        "    operations = [migrations.AddField('user', 'nickname', models.TextField())]\n",
        "makemigrations --check",
    ),
    "module that is imported late": (
        "apps/common/management/commands/check_dependencies.py",
        '"""\n',
        f'"""\n{PAIR}import nothing\n{{% endif %}}\n',
        "nothing",
    ),
}


@pytest.mark.parametrize("breakage", RARE_BREAKAGES)
def test_breakage_of_one_pair_of_answers_is_found_among_sound_services(
    check_all: Callable[..., list[str]], breakage: str
) -> None:
    """What only two answers together break is found there, whatever was checked before (T11)."""
    path, old, new, expected = RARE_BREAKAGES[breakage]
    group = [
        {"static_files": static_files, "use_redis": use_redis}
        for static_files in ("nginx", "s3")
        for use_redis in (True, False, True)
    ]

    found = check_all(group, path, old, new)

    assert expected in found.pop(4)
    assert found == [""] * 5


def test_plain_commands_agree(check: Check, tmp_path: Path) -> None:
    """What the matrix finds in forked processes, Django's own commands find as well (T11)."""
    answers = render.complete({"server": "uvicorn", "task_queue": "redis"})
    render.write(answers, tmp_path)
    (tmp_path / "staticfiles").mkdir()
    manage = [sys.executable, "-W", "error", "manage.py"]
    environment = {"PATH": os.environ["PATH"]} | matrix.production(answers)

    found = check(answers)
    checked = subprocess.run(
        [*manage, "check", "--deploy", "--fail-level", "WARNING"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import config.asgi"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert not found
    assert checked.stderr == ""
    assert checked.stdout == "System check identified no issues (0 silenced).\n"
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")


def test_command_ends_with_figures_and_fails_on_failure(tmp_path: Path) -> None:
    """``make matrix`` says how many failed, which and why, and exits with 1 (T11, U4)."""
    for name in ("tools", "hooks", SERVICE.name):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "cookiecutter.json", tmp_path)
    broken = tmp_path / SERVICE.name / "apps/users/admin.py"
    broken.write_text(broken.read_text().replace("UserAdmin)", "Administrator)"))

    done = subprocess.run(
        [sys.executable, "-m", "tools.matrix", "--limit", "3", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "NameError: name 'Administrator'" in done.stdout
    assert "cookiecutter . --no-input" in done.stdout
    assert done.stdout.endswith("\n3 checked, 3 failed\n")


def test_product_is_every_combination_once() -> None:
    """The matrix has each combination of the options that reach Python (T11)."""
    reaching = [name for name in options() if name not in APART]

    found = {tuple(answers[name] for name in reaching) for answers in full_product()}

    assert found == set(product(*(options()[name] for name in reaching)))
    assert len(full_product()) == len(found) == 13_824


@pytest.mark.parametrize("services", [full_product, pairwise], ids=["product", "pairs"])
def test_any_two_answers_meet(services: Callable[[], list[Answers]]) -> None:
    """Any two answers to any two questions meet in some service, with those kept apart (T11)."""
    expected = {
        ((a, x), (b, y))
        for a, b in combinations(options(), 2)
        for x in options()[a]
        for y in options()[b]
    }

    met = {
        ((a, answers[a]), (b, answers[b]))
        for answers in services()
        for a, b in combinations(options(), 2)
    }

    assert met == expected


def test_options_that_reach_python_are_those_of_the_product() -> None:
    """No option is left out of the product that a Python file or a template page names (T11)."""
    reached = set()
    for file in render.sources():
        if is_test(file.path) or not file.path.endswith((".py", ".html")):
            continue
        conditions = [key for key, paths in context()["_only_if"].items() if file.path in paths]
        reached.update(file.names, (condition.partition("=")[0] for condition in conditions))

    for name in [name for name in reached if name.startswith("__")]:
        reached.update(render.names(context()[name]))

    assert reached & set(options()) <= set(options()) - set(APART)


def test_a_list_matters_by_a_single_item_to_those_who_look_for_it() -> None:
    """Ninja's look at the middleware does not keep services apart (T11)."""
    assert matrix.Without("wanted") == ["other"]
    assert matrix.Without("wanted") != ["other", "wanted"]
    assert matrix.Without("wanted") != matrix.MISSING
