"""Typed environment variables that are all checked before the service starts."""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.utils.translation import get_language_info
from environ.fileaware_mapping import FileAwareMapping

from config import process

PLACEHOLDER = "change-me"

BOOLEANS = dict.fromkeys(("true", "on", "yes", "1"), True) | dict.fromkeys(
    ("false", "off", "no", "0"), False
)
ESCAPE = "needs # ? / [ ] in the user name or password written as %23 %3F %2F %5B %5D"

# Raises ValueError, which says what is wrong with a value.
type Check = Callable[[str], object]


@dataclass(frozen=True)
class Variable:
    """What people are told about a variable; no default means that production needs it."""

    name: str
    help: str
    default: str | None
    example: str


@dataclass(frozen=True)
class Service:
    """Another API that this service calls, and the address of its health endpoint."""

    name: str
    url: str
    required: bool


class Variables:
    """Reads variables from the environment and gathers what is wrong with them.

    ``NAME_FILE`` may name a file that holds the value of ``NAME``. An empty value counts
    as none. In development ``.env`` fills in what the environment lacks.
    """

    def __init__(self, dotenv: Path) -> None:
        if dotenv.is_file() and BOOLEANS.get(os.environ.get("DEBUG", "true").lower()):
            environ.Env.read_env(dotenv)
        self.declared: dict[str, Variable] = {}
        self.problems: dict[str, str] = {}
        self.debug = False
        self._environment = FileAwareMapping()

    def debug_mode(self, name: str, help: str) -> bool:
        """Return whether this is a development machine, where nothing is required."""
        self.debug = self.boolean(name, help, default=False)
        return self.debug

    def text(
        self,
        name: str,
        help: str,
        *,
        default: str | None = None,
        example: str = "",
        check: Check = str,
    ) -> str:
        """Return a text as it is."""

        def parse(value: str) -> str:
            check(value)
            return value

        return self._read(name, help, parse, default, example, development="")

    def choice(self, name: str, help: str, *, default: str, choices: tuple[str, ...]) -> str:
        """Return one of a few words, in lower case."""

        def parse(value: str) -> str:
            if value.lower() not in choices:
                raise ValueError(f"is not one of {', '.join(choices)}")
            return value.lower()

        return self._read(name, help, parse, default)

    def boolean(self, name: str, help: str, *, default: bool) -> bool:
        """Return true or false."""

        def parse(value: str) -> bool:
            if value.lower() not in BOOLEANS:
                raise ValueError("is neither true nor false")
            return BOOLEANS[value.lower()]

        return self._read(name, help, parse, default)

    def integer(
        self, name: str, help: str, *, default: int, minimum: int = 0, maximum: int | None = None
    ) -> int:
        """Return a whole number."""
        bounds = f"from {minimum} to {maximum}" if maximum else f"of at least {minimum}"

        def parse(value: str) -> int:
            number = int(value) if value.isdecimal() else -1
            if number < minimum or (maximum and number > maximum):
                raise ValueError(f"is not a whole number {bounds}")
            return number

        return self._read(name, help, parse, default)

    def texts(
        self,
        name: str,
        help: str,
        *,
        default: list[str] | None = None,
        example: str = "",
        check: Check = str,
    ) -> list[str]:
        """Return the parts of a list that commas separate."""

        def parse(value: str) -> list[str]:
            for item in split(value):
                check(item)
            return split(value)

        return self._read(name, help, parse, default, example, development=[])

    def networks(
        self, name: str, help: str, *, default: str = "", example: str = ""
    ) -> list[IPv4Network | IPv6Network]:
        """Return address ranges in CIDR notation."""

        def parse(value: str) -> list[IPv4Network | IPv6Network]:
            try:
                return [ip_network(item) for item in split(value)]
            except ValueError as error:
                raise ValueError(f"is not a list of address ranges: {error}") from None

        return self._read(name, help, parse, parse(default), example)

    def services(self, name: str, help: str, *, example: str) -> list[Service]:
        """Return named URLs; a question mark behind a name says that it is optional."""

        def parse(value: str) -> list[Service]:
            found = []
            for item in split(value):
                label, _, address = item.partition("=")
                if not label.rstrip("?") or "/" in label:
                    raise ValueError("has an address without a name")
                check_url(address, {"http", "https"})
                if "@" in urlsplit(address).netloc:
                    raise ValueError("has a user name, which no health endpoint should ask for")
                found.append(Service(label.rstrip("?"), address, not label.endswith("?")))
            return found

        return self._read(name, help, parse, [], example)

    def url(
        self, name: str, help: str, *, schemes: set[str], default: str | None = None, example: str
    ) -> str:
        """Return an address; in development it may be empty."""

        def parse(value: str) -> str:
            check_url(value, schemes)
            return value

        return self._read(name, help, parse, default, example, development="")

    def database(self, name: str, help: str, *, development: str, example: str) -> dict[str, Any]:
        """Return Django's settings for the database at a URL."""

        def parse(value: str) -> dict[str, Any]:
            if not value.startswith("sqlite:///"):
                check_url(value, {"postgres", "postgresql"})
                if not urlsplit(value).path.strip("/"):
                    raise ValueError("names no database after the host")
            return dict(environ.Env.db_url_config(value))

        return self._read(name, help, parse, None, example, development=parse(development))

    def secret_key(self, name: str, help: str, *, example: str) -> str:
        """Return a key for signing; in production it must be long and varied."""

        def parse(value: str) -> str:
            if not self.debug:
                check_key(value)
            return value

        return self._read(name, help, parse, None, example, development=secrets.token_urlsafe(50))

    def secret_keys(self, name: str, help: str, *, default: list[str]) -> list[str]:
        """Return former keys for signing; in production each must be long and varied."""

        def parse(value: str) -> list[str]:
            keys = split(value)
            if not self.debug:
                for key in keys:
                    check_key(key)
            return keys

        return self._read(name, help, parse, default)

    def check(self) -> None:
        """End the process with one message that names every missing or malformed variable."""
        if not self.problems:
            return
        lines = ["This service cannot start until these variables are set correctly:", ""]
        for name, problem in self.problems.items():
            variable = self.declared[name]
            lines.append(f"  {name} {problem}. {variable.help}")
            if variable.example:
                lines.append(f"      For example: {name}={variable.example}")
        lines += ["", "On a development machine DEBUG=true is enough: see .env.example."]
        process.stop("\n".join(lines))

    def _read[T](
        self,
        name: str,
        help: str,
        parse: Callable[[str], T],
        default: T | None = None,
        example: str = "",
        development: T | None = None,
    ) -> T:
        self.declared[name] = Variable(
            name, help, None if default is None else show(default), example
        )
        stand_in = cast("T", development if default is None else default)
        try:
            value = str(self._environment.get(name, "")).strip()
            if not value and default is None and not self.debug:
                raise ValueError("is missing")
            if not self.debug and PLACEHOLDER in value:
                raise ValueError(f"still holds the placeholder {PLACEHOLDER!r}")
            return parse(value) if value else stand_in
        except OSError as error:
            self.problems[name] = f"cannot be read: {error.strerror}: {error.filename}"
        except ValueError as error:
            self.problems[name] = str(error)
        return stand_in


def split(value: str) -> list[str]:
    """Return the parts of a list that commas separate, without spaces and empty parts."""
    return [item.strip() for item in value.split(",") if item.strip()]


def show(value: object) -> str:
    """Return a default as one would write it in the environment."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_url(value: str, schemes: set[str]) -> None:
    """Raise ValueError, with what to do, unless the value is the URL of a host."""
    try:
        url = urlsplit(value)
    except ValueError:
        # Its message holds the host, or what of a password was taken for one.
        raise ValueError(ESCAPE) from None
    if url.scheme not in schemes:
        prefixes = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise ValueError(f"does not begin with {prefixes}")
    # An unescaped # ? or / in a password ends the host part of a URL before its "@".
    if ("@" in value and "@" not in url.netloc) or "#" in value:
        raise ValueError(ESCAPE)
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has a port that is not a number from 1 to 65535")
    if not url.hostname:
        raise ValueError("names no host")


def check_key(value: str) -> None:
    """Raise ValueError unless the value is a key, long and varied enough to sign with."""
    # No shell reads the files that Docker takes variables from.
    if re.fullmatch(r"\$\(.*\)|`.*`", value):
        raise ValueError("is a command that prints a key, not what it prints")
    if "," in value:
        raise ValueError("has a comma, which separates former keys once this is one")
    if len(value) < 50 or len(set(value)) < 10:
        raise ValueError("has fewer than 50 characters, or fewer than 10 different ones")


def check_host(value: str) -> None:
    """Raise ValueError unless the value is a host, or stands for several, as Django has it."""
    if not re.fullmatch(r"\*|\.?[\w-]+(\.[\w-]+)*|\[[0-9A-Fa-f:.]+\]", value):
        raise ValueError(f"has {value!r}, which must be a host name without scheme, port or path")


def check_origin(value: str) -> None:
    """Raise ValueError unless the value is a scheme and a host, and nothing else."""
    check_url(value, {"http", "https"})
    if urlsplit(value).path:
        raise ValueError(f"has {value!r}, which does not end with its host or port")


def check_path(value: str) -> None:
    """Raise ValueError unless the value is a path as ``urls.py`` has it."""
    if value.startswith("/") or not value.endswith("/"):
        raise ValueError("begins with a slash, or does not end with one")


def check_language(value: str) -> None:
    """Raise ValueError unless Django speaks the language."""
    try:
        get_language_info(value)
    except KeyError:
        raise ValueError("is not a language that Django knows") from None


def check_time_zone(value: str) -> None:
    """Raise ValueError unless this is a time zone."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError("is not a time zone that this machine knows") from None
