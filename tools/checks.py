"""What every service is checked for, from inside: its folder is the current one."""

import importlib
import re
import sys
import warnings
from collections.abc import Iterator, Set
from functools import cache, lru_cache
from importlib.metadata import packages_distributions
from io import StringIO
from itertools import product
from typing import Any
from uuid import UUID

from packaging.utils import canonicalize_name

# Modules that a process begins with, one of the first two as a server and the last as a worker.
SERVERS = ("config/asgi.py", "config/wsgi.py")
WORKER = "config/celery.py"
# Where system checks are that take long, and look at what was loaded.
EARLY = (
    "django.core.checks.model_checks",
    "django.core.checks.templates",
    "django.core.checks.urls",
    "drf_spectacular.checks",
)
# What parameters of addresses are tried with: each converter or expression takes one of them.
SAMPLES = (1, "1", "a", "a/b", "a.json", "json", "users", UUID(int=1))
# The first part of a module's name, where it is imported or stands in a string of settings.
NAMED = re.compile(
    r"""(?:^\s*(?:from|import) |(?<=")(?=[a-z_]\w*(?:\.\w+)+"))(\w+)""", re.MULTILINE
)


def load() -> None:
    """Load a service, and raise at the first thing that is wrong with what was loaded."""
    from django.apps import apps
    from django.conf import settings
    from django.core.checks.registry import registry
    from django.template import engines
    from django.utils.module_loading import import_string

    apps.populate(settings.INSTALLED_APPS)
    engines.all()
    check_urls()
    check_migrations()
    early = {check for check in registry.get_checks(True) if check.__module__ in EARLY}
    registered, registry.registered_checks = registry.registered_checks, early
    deployment, registry.deployment_checks = registry.deployment_checks, set()
    check_system()
    # Not asked of settings: the next service may have others, which it imports by itself.
    for path in importlib.import_module("config.settings").MIDDLEWARE:
        import_string(path)
    registry.registered_checks = registered - early
    registry.deployment_checks = deployment - early


def check(paths: Set[str]) -> None:
    """Raise at the first thing that is wrong with a service beyond what was loaded."""
    import django

    django.setup()
    check_system()
    check_applications(paths)


def check_system() -> None:
    """Raise unless the checks for a deployment find nothing, with none of them silenced."""
    from django.conf import settings
    from django.core.management import call_command

    if settings.SILENCED_SYSTEM_CHECKS:
        raise AssertionError(f"Checks are silenced: {settings.SILENCED_SYSTEM_CHECKS}")
    output = StringIO()
    call_command("check", deploy=True, fail_level="WARNING", stdout=output, stderr=output)
    if output.getvalue() != "System check identified no issues (0 silenced).\n":
        raise AssertionError(output.getvalue())


def check_migrations() -> None:
    """Raise unless the migrations make the models; that no database answers is no matter."""
    from django.core.management import call_command

    output = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got an error checking a consistent migration history")
        try:
            call_command("makemigrations", "--check", "--no-input", stdout=output, stderr=output)
        except SystemExit:
            raise AssertionError(f"makemigrations --check: {output.getvalue()}") from None


def check_urls() -> None:
    """Raise unless every pattern has a view, and every name leads to an address with one."""
    from django.urls import get_resolver, resolve

    for name, pattern in patterns(get_resolver()):
        if not callable(pattern.callback):
            raise AssertionError(f"{name or pattern.pattern} has no view")
        for address in addresses(name, pattern):
            resolve(address)


def patterns(resolver: Any, namespace: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each pattern with its full name."""
    for entry in resolver.url_patterns:
        if hasattr(entry, "url_patterns"):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from patterns(entry, inner)
        else:
            yield f"{namespace}{entry.name}" if entry.name else "", entry


def addresses(name: str, pattern: Any) -> Iterator[str]:
    """Yield the first address that a name leads to with sample parameters."""
    from django.urls import NoReverseMatch, reverse

    keys = pattern.pattern.regex.groupindex
    for values in product(SAMPLES, repeat=len(keys)) if name else ():
        try:
            yield reverse(name, kwargs=dict(zip(keys, values, strict=True)))
        except NoReverseMatch:
            continue
        return
    if name:
        raise AssertionError(f"{name} leads to no address")


def check_applications(paths: Set[str]) -> None:
    """Raise unless the settings of a server hold, and what the server and the worker run loads."""
    from config import process
    from django.apps import apps
    from django.conf import settings
    from django.utils.functional import empty

    process.role = "server"
    importlib.reload(sys.modules["config.settings"])
    settings._wrapped = empty
    servers = [path for path in SERVERS if path in paths]
    for path in servers:
        if not callable(importlib.import_module(module(path)).application):
            raise AssertionError(f"{path} has no application")
    if not servers:
        raise AssertionError(f"None of {' and '.join(SERVERS)} is there.")
    for app in apps.get_app_configs():
        if app.name.startswith("apps."):
            app.ready()
    for path in paths:
        if path == WORKER or (
            path.startswith("apps/") and path.endswith(".py") and not is_test(path)
        ):
            importlib.import_module(module(path))


def is_test(path: str) -> bool:
    """Return whether a file belongs to the tests, which have libraries of their own."""
    return path == "conftest.py" or "tests" in path.split("/")


def module(path: str) -> str:
    """Return the name under which a file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def check_imports(path: str, content: bytes, requirements: bytes) -> None:
    """Raise if a file imports, or names in a setting, a library that the service does not lock."""
    if strangers := named(content) & not_locked(requirements):
        raise AssertionError(
            f"{path} needs {', '.join(sorted(strangers))}: requirements.txt does not"
        )


@lru_cache(maxsize=1000)
def named(content: bytes) -> frozenset[str]:
    """Return the modules, without what follows a dot, that a file names."""
    return frozenset(NAMED.findall(content.decode()))


@lru_cache(maxsize=100)
def not_locked(requirements: bytes) -> frozenset[str]:
    """Return the modules in this environment that a service does not lock."""
    packages = locked(requirements)
    return frozenset(name for name, owners in installed().items() if packages.isdisjoint(owners))


def locked(requirements: bytes) -> frozenset[str]:
    """Return the packages in this environment that a service locks."""
    names = re.findall(r"^([\w.-]+)==", requirements.decode(), re.MULTILINE)
    present = frozenset().union(*installed().values())
    return present.intersection(map(canonicalize_name, names))


@cache
def installed() -> dict[str, set[str]]:
    """Return, for each module in this environment, the packages that bring it."""
    return {
        module: set(map(canonicalize_name, packages))
        for module, packages in packages_distributions().items()
    }
