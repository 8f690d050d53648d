"""``make matrix`` renders and checks every combination of answers.

Each service is checked in a process of its own. That is forked from one that has loaded a
service before, and all that a service reads while it is loaded must be the same for both. If
it is not, or if anything else is wrong, the service is checked again in a process that has
loaded nothing but libraries.
"""

import argparse
import atexit
import gc
import importlib
import logging
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
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import groupby, islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Any

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
from tools.render import APART, ROOT, Answers, command, full_product, options, render

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

# Options whose answers Python reads late: services that differ in nothing else load the same.
LATE = ("static_files", "use_elasticsearch", "task_queue", "use_redis")
SETTINGS = PRODUCTION["DJANGO_SETTINGS_MODULE"]
NO_ANSWER = f"The process ended without an answer, or took longer than {LIMIT} s."
MISSING = object()
# Ninja looks for one middleware, its own, which no service has: what else there is, is no matter.
NINJA = "ninja.compatibility.files"
NINJA_MIDDLEWARE = f"{NINJA}.fix_request_files_middleware"
# What Python reports of files that are read.
READING = ("open", "os.listdir", "os.scandir")
IMPORT = re.compile(rb"^\s*(?:from|import) (?:[^(\n]+\([^)]+\)|.+)", re.MULTILINE)

# A service and what is wrong with it.
type Failure = tuple[Answers, str]
# A file, its content, and whether it is a package.
type Module = tuple[str, bytes, bool]
# What is wrong with a service, the modules it has looked for, and the patterns it has compiled.
type Result = tuple[str, list[str], list[tuple[str, int]]]


def production(answers: Answers) -> dict[str, str]:
    """Return variables for production, with addresses where nothing answers."""
    return PRODUCTION | {"CELERY_BROKER_URL": BROKERS.get(answers["task_queue"], "")}


@dataclass(eq=False)
class Without:
    """Equals every list that does not have this item."""

    item: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and self.item not in other


@dataclass(eq=False)
class Service:
    """The files of a service, those of them that are modules, and its environment."""

    files: dict[str, bytes]
    modules: dict[str, Module]
    environment: dict[str, str]

    def seen(self, path: str) -> bytes | list[str]:
        """Return what is seen of a file or a folder: its content, or the names below it."""
        return self.files.get(path) or [name for name in self.files if name.startswith(f"{path}/")]


class Bench:
    """A folder that holds one service after the other, and the processes that check them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.tried: set[str] = set()
        (folder / "staticfiles").mkdir()

    def check(self, group: Sequence[Answers]) -> list[str]:
        """Return, for each service, what is wrong with it, or nothing."""
        services = [self.service(answers) for answers in group]
        problems = []
        ancestors: list[Ancestor] = []
        for service in services:
            if isinstance(service, str):
                problems.append(service)
                continue
            self.place(service.files)
            ancestor = next((known for known in reversed(ancestors) if known.fits(service)), None)
            problem = ancestor.check(service) if ancestor else ""
            if not ancestor or problem:
                ancestor = Ancestor(self.folder, services, service)
                ancestors.append(ancestor)
                problem = ancestor.check(service)
            problems.append(problem)
            if not self.tried.issuperset(ancestor.learned):
                self.retire(ancestors)
        self.retire(ancestors)
        return problems

    def retire(self, ancestors: list["Ancestor"]) -> None:
        """End processes that do not know yet what services have imported, and learn it."""
        while ancestors:
            self.learn(ancestors.pop().end())

    def service(self, answers: Answers) -> Service | str:
        """Return a service, or why it cannot be rendered or compiled."""
        modules = {}
        try:
            files = {name: content for name, (_, content) in render(answers).items()}
            for name, content in files.items():
                if name.endswith(".py"):
                    path = f"{self.folder}/{name}"
                    code(path, content)
                    modules[checks.module(name)] = path, content, name.endswith("/__init__.py")
                    if not checks.is_test(name):
                        checks.check_imports(name, content, files["requirements.txt"])
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding
            return explain(error)
        return Service(files, modules, production(answers))

    def place(self, files: dict[str, bytes]) -> None:
        """Write the files that differ from those of the service before."""
        for name in self.files.keys() - files.keys():
            (self.folder / name).unlink()
        for name, content in files.items():
            if self.files.get(name) != content:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.files = files

    def learn(self, modules: Iterable[str]) -> None:
        """Import what services have imported, unless it needs settings.

        A module that registers a check is not imported: services without it would run that.
        """
        from django.core.checks.registry import registry

        for name in modules:
            if name in self.tried:
                continue
            self.tried.add(name)
            before = registry.registered_checks.copy(), registry.deployment_checks.copy()
            with suppress(Exception):
                importlib.import_module(name)
            if before != (registry.registered_checks, registry.deployment_checks):
                registry.registered_checks, registry.deployment_checks = before
                del sys.modules[name]
        # Otherwise each change of a level would go through the loggers of all libraries.
        logging.root.manager.loggerDict.clear()


class Ancestor:
    """A process that has loaded a service, and from which those that load the same are forked."""

    def __init__(self, folder: Path, services: Sequence[Service | str], first: Service) -> None:
        self.folder = folder
        self.services = services
        self.first = first
        self.modules = first.modules
        self.sought: dict[str, Module | None] = {}
        self.opened: set[str] = set()
        self.settings: dict[str, Any] = {}
        self.learned: dict[str, None] = {}
        self.process, self.pipe = fork(self.serve)
        self.loaded, self.opened = self.receive() or ([], set())

    def fits(self, service: Service) -> bool:
        """Return whether a service has the same modules and files, of those that were looked for.

        Its settings differ, and are loaded anew, but must import what the first one's did.
        """
        same = {name for name in self.loaded if service.modules.get(name) == self.modules.get(name)}
        return (
            same | {SETTINGS} >= set(self.loaded)
            and imports(service) == imports(self.first)
            and all(service.seen(path) == self.first.seen(path) for path in self.opened)
        )

    def check(self, service: Service) -> str:
        """Return what is wrong with a service, or which setting differs."""
        with suppress(OSError):
            self.pipe.send(self.services.index(service))
        problem, modules, patterns = self.receive() or (NO_ANSWER, [], [])
        self.learned.update(dict.fromkeys(modules))
        for pattern, flags in patterns:
            re.compile(pattern, flags)
        return problem

    def receive(self) -> Any:
        """Return what the process says, or nothing if it has ended."""
        with suppress(EOFError, OSError):
            return self.pipe.recv()

    def end(self) -> Iterable[str]:
        """End the process and return the libraries' modules that services have looked for."""
        with suppress(OSError):
            self.pipe.send(None)
        os.waitpid(self.process, 0)
        return self.learned

    def serve(self, pipe: Connection) -> None:
        """Load the first service, and answer how each service is that is asked for."""
        gc.disable()
        atexit._clear()
        sys.dont_write_bytecode = True
        warnings.resetwarnings()
        warnings.simplefilter("error")
        os.environ.clear()
        os.chdir(self.folder)
        sys.path[:] = [path for path in sys.path if path not in ("", str(ROOT))]
        sys.meta_path.insert(0, self)
        sys.addaudithook(self.watch)
        self.patterns = len(re._cache)
        problem = attempt(self.load, self.first)
        pipe.send((list(self.sought), self.opened))
        try:
            for number in iter(pipe.recv, None):
                failed = problem, [], []
                pipe.send(failed if problem else self.descend(self.services[number]))
        finally:
            atexit._run_exitfuncs()

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Remember which files of the service are opened, and which of its folders are listed."""
        if event in READING and isinstance(arguments[0], str | Path):
            path = Path(arguments[0]).absolute()
            if self.folder in path.parents:
                self.opened.add(path.relative_to(self.folder).as_posix())

    def load(self, service: Service) -> None:
        """Load a service, and record the settings that are read meanwhile."""
        from django.conf import LazySettings

        original = LazySettings.__getattr__

        def read(settings: LazySettings, name: str) -> Any:
            self.settings[name] = MISSING
            value = original(settings, name)
            if sys._getframe(1).f_globals["__name__"] == NINJA and NINJA_MIDDLEWARE not in value:
                self.settings[name] = Without(NINJA_MIDDLEWARE)
                # Whoever reads it next shall be seen, too.
                del settings.__dict__[name]
            else:
                self.settings[name] = deepcopy(value)
            return value

        LazySettings.__getattr__ = read  # type: ignore[method-assign]
        checks.load()
        LazySettings.__getattr__ = original  # type: ignore[method-assign]

    def descend(self, service: Service) -> Result:
        """Return what a process forked from this one finds."""
        child, pipe = fork(lambda pipe: pipe.send(self.result(service)))
        try:
            return pipe.recv()
        except EOFError:
            return NO_ANSWER, [], []
        finally:
            os.waitpid(child, 0)

    def result(self, service: Service) -> Result:
        """Check a service in this process, which is nothing else from now on."""
        problem = attempt(self.examine, service)
        modules = [name for name, own in self.sought.items() if not own]
        compiled = islice(re._cache, self.patterns, None)
        return problem, modules, [key[1:] for key in compiled if key[0] is str]

    def examine(self, service: Service) -> None:
        """Raise unless the settings that were read are the same, and all checks are passed."""
        from django.conf import settings
        from django.utils.functional import empty

        self.modules = service.modules
        del sys.modules[SETTINGS]
        settings._wrapped = empty
        for name, value in self.settings.items():
            if value != getattr(settings, name, MISSING):
                raise AssertionError(f"{name} differs")
        try:
            checks.check(service.files.keys())
        finally:
            atexit._run_exitfuncs()

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return how to load a module of the service, and remember what is looked for."""
        module = self.sought[name] = self.modules.get(name)
        if not module:
            if name.partition(".")[0] in self.modules:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return None
        file, content, is_package = module
        loader = SourceFileLoader(name, file)
        loader.get_code = lambda _: code(file, content)  # type: ignore[method-assign]
        folders = [str(Path(file).parent)] if is_package else None
        return spec_from_file_location(
            name, file, loader=loader, submodule_search_locations=folders
        )


def imports(service: Service) -> list[bytes]:
    """Return the statements with which the settings of a service import modules."""
    _, content, _ = service.modules[SETTINGS]
    return IMPORT.findall(content)


def fork(work: Callable[[Connection], object]) -> tuple[int, Connection]:
    """Return the number of a new process that does this work, and a connection to it."""
    ours, theirs = Pipe()
    gc.freeze()
    process = os.fork()
    if not process:
        try:
            ours.close()
            work(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return process, ours


def attempt(work: Callable[[Service], None], service: Service) -> str:
    """Return what is printed and raised while this process does something with a service."""
    signal.alarm(LIMIT)
    os.environ.update(service.environment)
    output = os.fdopen(os.memfd_create("output"), "w+")
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = output
    problem = ""
    try:
        work(service)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever goes wrong is a finding
        problem = explain(error)
    signal.alarm(0)
    output.seek(0)
    return "\n".join(filter(None, (output.read().strip(), problem)))


@lru_cache(maxsize=1000)
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
    SourceFileLoader.get_code = cache(SourceFileLoader.get_code)  # type: ignore[method-assign]
    sys.dont_write_bytecode = False
    # A module that is given up for want of settings may complain.
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("error")
    bench = Bench(Path(tempfile.mkdtemp(dir=folder)))


def check(group: Sequence[Answers]) -> list[str]:
    """Return, for each service, what is wrong with it."""
    return bench.check(group)


def run(services: Sequence[Answers], workers: int, console: Console) -> list[Failure]:
    """Return the failures, and show meanwhile how far the checks are."""
    failures: list[Failure] = []
    memory = Path("/dev/shm")
    # Backwards, since all that one service imports makes it slower to fork those after it,
    # and Daphne imports the most.
    ordered = sorted(sorted(services, key=late), key=early, reverse=True)
    groups = [list(group) for _, group in groupby(ordered, early)]
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


def early(answers: Answers) -> list[str]:
    """Return the answers that services must have in common to load the same."""
    return [str(value) for name, value in answers.items() if name not in (*APART, *LATE)]


def late(answers: Answers) -> list[str]:
    """Return what brings services together that load the same, and those before that load less."""
    return [str(answers[name]) for name in LATE]


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
    parser.add_argument("--workers", type=int, default=os.cpu_count())
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
    print(f"{len(services):,} checked, {len(failures):,} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
