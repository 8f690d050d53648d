"""``make matrix`` renders and checks every combination of answers.

Each service is checked in a process of its own. It is forked from one that has imported the
libraries but no settings, and that learns from each service what to import before the next.
"""

import argparse
import atexit
import gc
import importlib
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from itertools import batched
from pathlib import Path
from types import CodeType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tools import checks
from tools.render import ROOT, Answers, command, full_product, options, render

# How long one service may take, in seconds.
LIMIT = 60
# A port at which nothing listens, so that every connection is refused.
NOWHERE = "127.0.0.1:1"
PRODUCTION = {
    "ALLOWED_HOSTS": "example.com",
    "AWS_S3_ENDPOINT_URL": f"http://{NOWHERE}",
    "AWS_STORAGE_BUCKET_NAME": "static",
    "BUGSNAG_API_KEY": "0123456789abcdef0123456789abcdef",
    "DATABASE_URL": f"postgres://user:password@{NOWHERE}/database",
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "ELASTICSEARCH_URL": f"http://{NOWHERE}",
    "EMAIL_HOST": "127.0.0.1",
    "EXTERNAL_SERVICES": f"other=http://{NOWHERE}/health",
    "REDIS_URL": f"redis://{NOWHERE}/0",
    "SECRET_KEY": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "SENTRY_DSN": f"http://key@{NOWHERE}/1",
    # Otherwise Sentry would ask git.
    "SENTRY_RELEASE": "1",
    "STARTUP_CHECKS": "off",
}
BROKERS = {"rabbitmq": f"amqp://user:password@{NOWHERE}/", "redis": f"redis://{NOWHERE}/1"}
COLUMNS = (
    BarColumn(bar_width=None),
    MofNCompleteColumn(),
    TextColumn("{task.fields[failed]} failed,"),
    TimeElapsedColumn(),
    TextColumn("passed,"),
    TimeRemainingColumn(),
    TextColumn("left"),
)

# A service and what is wrong with it.
type Failure = tuple[Answers, str]
# A file, its code, and whether it is a package.
type Module = tuple[str, CodeType, bool]


def production(answers: Answers) -> dict[str, str]:
    """Return variables for production, with addresses where nothing answers."""
    return PRODUCTION | {"CELERY_BROKER_URL": BROKERS.get(answers["task_queue"], "")}


class Bench:
    """A folder that holds one service after the other, and the process that checks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.own: dict[str, Module] = {}
        self.libraries: dict[str, Module] = {}
        self.tried: set[str] = set()
        (folder / "staticfiles").mkdir()

    def check(self, answers: Answers) -> str:
        """Return what is wrong with a service, or nothing."""
        try:
            self.place({name: content for name, (_, content) in render(answers).items()})
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding
            return explain(error)
        return self.fork(production(answers))

    def place(self, files: dict[str, bytes]) -> None:
        """Write the files that differ from those of the service before, and compile Python."""
        for name in self.files.keys() - files.keys():
            (self.folder / name).unlink()
        for name, content in files.items():
            if self.files.get(name) != content:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.files = files
        self.own = {}
        for name, content in files.items():
            if name.endswith(".py"):
                path = str(self.folder / name)
                compiled = code(path, content)
                self.own[checks.module(name)] = path, compiled, name.endswith("/__init__.py")
                if not checks.is_test(name):
                    checks.check_imports(name, content, files["requirements.txt"])

    def fork(self, environment: dict[str, str]) -> str:
        """Return what is wrong with the service according to a process of its own."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                signal.alarm(LIMIT)
                modules, patterns = set(sys.modules), set(re._cache)
                problem = self.inside(environment)
                answer = [
                    problem,
                    [name for name in sys.modules if name not in modules],
                    [key[1:] for key in re._cache if key not in patterns and key[0] is str],
                ]
                with os.fdopen(writer, "w") as pipe:
                    json.dump(answer, pipe)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        if not answer:
            return f"The process ended without an answer, or took longer than {LIMIT} s."
        problem, modules, patterns = json.loads(answer)
        self.learn(modules)
        for pattern, flags in patterns:
            re.compile(pattern, flags)
        gc.freeze()
        return problem

    def inside(self, environment: dict[str, str]) -> str:
        """Check the service in this process, which is nothing else from now on."""
        gc.disable()
        atexit._clear()
        sys.dont_write_bytecode = True
        warnings.resetwarnings()
        warnings.simplefilter("error")
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(self.folder)
        sys.path[:] = [
            str(self.folder),
            *(path for path in sys.path if path not in ("", str(ROOT))),
        ]
        sys.meta_path.insert(0, self)
        output = os.fdopen(os.memfd_create("output"), "w+")
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout = sys.stderr = output
        problem = ""
        try:
            checks.check(self.files.keys())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever goes wrong is a finding
            problem = explain(error)
        atexit._run_exitfuncs()
        output.seek(0)
        return "\n".join(filter(None, (output.read().strip(), problem)))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return how to load a module that is compiled already."""
        known = self.own.get(name) or self.libraries.get(name)
        if not known:
            return None
        file, compiled, is_package = known
        loader = SourceFileLoader(name, file)
        loader.get_code = lambda _: compiled  # type: ignore[method-assign]
        folders = [str(Path(file).parent)] if is_package else None
        return spec_from_file_location(
            name, file, loader=loader, submodule_search_locations=folders
        )

    def learn(self, modules: Iterable[str]) -> None:
        """Import what a service has imported, or remember its code if it needs settings.

        So does a module that registers a check, which is not for services without it.
        """
        from django.core.checks.registry import registry

        for name in modules:
            if name in self.tried or name in self.own:
                continue
            self.tried.add(name)
            before = registry.registered_checks.copy(), registry.deployment_checks.copy()
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - it needs settings, and is imported with them
                self.remember(name)
            if before != (registry.registered_checks, registry.deployment_checks):
                registry.registered_checks, registry.deployment_checks = before
                del sys.modules[name]
                self.remember(name)

    def remember(self, name: str) -> None:
        """Keep the code of a library's module, to be executed by each service that imports it."""
        try:
            spec = find_spec(name)
        except Exception:  # noqa: BLE001 - not even the package that holds it
            return
        if spec and isinstance(spec.loader, SourceFileLoader):
            package = bool(spec.submodule_search_locations)
            self.libraries[name] = spec.origin, spec.loader.get_code(name), package


@lru_cache(maxsize=4000)
def code(path: str, content: bytes) -> CodeType:
    """Return a compiled module."""
    return compile(content, path, "exec", dont_inherit=True)


def explain(error: BaseException) -> str:
    """Return the last place and the message of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return place + "".join(traceback.format_exception_only(error)).strip()


def start(folder: Path) -> None:
    """Make this process one that checks services, in a folder of its own."""
    global bench
    # What was compiled once stays so, or each service would compile it again.
    re._MAXCACHE = 10_000  # type: ignore[attr-defined]
    sys.dont_write_bytecode = False
    # A module that is given up for want of settings may complain.
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("error")
    bench = Bench(Path(tempfile.mkdtemp(dir=folder)))


def check(group: Sequence[Answers]) -> list[str]:
    """Return, for each service, what is wrong with it."""
    return [bench.check(answers) for answers in group]


def run(services: Sequence[Answers], workers: int, console: Console) -> list[Failure]:
    """Return the failures, and show meanwhile how far the checks are."""
    failures: list[Failure] = []
    memory = Path("/dev/shm")
    groups = list(batched(services, 32))
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        multiprocessing.get_context("fork").Pool(workers, start, [Path(folder)]) as pool,
        Progress(*COLUMNS, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=len(services), failed=0)
        report = sparsely(console)
        done = 0
        for group, problems in zip(groups, pool.imap(check, groups), strict=True):
            done += len(group)
            failures += [failure for failure in zip(group, problems, strict=True) if failure[1]]
            progress.update(task, completed=done, failed=len(failures))
            report(done, len(services), len(failures))
    return failures


def sparsely(console: Console) -> Callable[[int, int, int], None]:
    """Return what prints a line every half minute, where no progress bar can be shown."""
    began = said = time.monotonic()

    def report(done: int, total: int, failed: int) -> None:
        nonlocal said
        now = time.monotonic()
        if not console.is_terminal and now - said > 30:
            said = now
            left = (now - began) / done * (total - done)
            console.print(f"{done} of {total} checked, {failed} failed, {left:.0f} s left")

    return report


def summary(services: Sequence[Answers], failures: Sequence[Failure]) -> Table:
    """Return how many services with each answer were checked, and how many failed."""
    table = Table("option", "answer", "checked", "failed")
    checked = Counter(item for answers in services for item in answers.items())
    failed = Counter(item for answers, _ in failures for item in answers.items())
    for name, values in options().items():
        for value in values:
            item = (name, value)
            heading = name if value == values[0] else ""
            table.add_row(heading, str(value), str(checked[item]), str(failed[item]))
        table.add_section()
    return table


def explained(failures: Sequence[Failure]) -> Iterator[str]:
    """Yield each error once, with the command that renders the first service that has it."""
    same: dict[str, list[Answers]] = defaultdict(list)
    for answers, problem in failures:
        same[re.sub(r"/\S*?/(tmp\w+)/", "", problem)].append(answers)
    for problem, found in same.items():
        more = f" (and {len(found) - 1} more like it)" if len(found) > 1 else ""
        yield f"\nFAILED {name(found[0])}{more}\n    {command(found[0])}\n{problem}"


def name(answers: Answers) -> str:
    """Return what a combination is called."""
    return "-".join(str(value).lower() for value in answers.values())


def main() -> None:
    """Check all services, or those that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__)
    parser.add_argument("--limit", type=int, help="check no more than so many, at random")
    parser.add_argument(
        "--part", default="1/1", help="check a part of all: 2/4 is the second quarter"
    )
    parser.add_argument("--workers", type=int, default=os.process_cpu_count())
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    services = full_product()
    services = services[len(services) * (part - 1) // parts : len(services) * part // parts]
    if arguments.limit is not None:
        services = random.sample(services, min(arguments.limit, len(services)))
    console = Console()
    began = time.monotonic()
    failures = run(services, arguments.workers, console)
    console.print(summary(services, failures))
    for text in explained(failures):
        print(text)
    print(f"\nIn {time.monotonic() - began:.0f} s:")
    print(f"{len(services) - len(failures)} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
