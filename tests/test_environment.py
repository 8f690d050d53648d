"""What a service makes of its environment, as a process sees it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Projects
from tests.project import PRODUCTION
from tests.services import Postgres, black_hole, free_port
from tools.render import options

CHECK = ("check", "--deploy", "--fail-level", "WARNING")
KEY = "$" + PRODUCTION["SECRET_KEY"]

DEFAULT, *OTHERS = options()["server"]
EACH = [DEFAULT, *(pytest.param(server, marks=pytest.mark.slow) for server in OTHERS)]

type Run = Callable[..., str]


@pytest.fixture
def production() -> dict[str, str]:
    """Return the variables of a service whose dependencies are all down."""
    port = free_port()
    return {
        **PRODUCTION,
        "DATABASE_URL": f"postgres://me:pass@127.0.0.1:{port}/it",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }


@pytest.fixture
def refusal(projects: Projects, production: dict[str, str]) -> Callable[..., str]:
    """Return a function that returns with what message a process stops."""

    def message(**variables: str) -> str:
        done = projects(server=DEFAULT).manage(
            "check", variables={**production, **variables}, check=False
        )
        assert done.returncode == 3
        assert "Traceback" not in done.stdout
        return done.stdout

    return message


@pytest.fixture
def setting(projects: Projects, production: dict[str, str]) -> Callable[..., str]:
    """Return a function that returns what a setting becomes."""

    def value(name: str, **variables: str) -> str:
        code = f"from django.conf import settings; print('VALUE', repr(settings.{name}))"
        done = projects(server=DEFAULT).manage(
            *("shell", "--no-imports", "--command", code), variables={**production, **variables}
        )
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("VALUE "))
        return line.removeprefix("VALUE ")

    return value


@pytest.mark.parametrize("server", EACH)
def test_nothing_set_names_everything(server: str, projects: Projects) -> None:
    """One message names every variable that production needs (S3)."""
    done = projects(server=server).manage(*CHECK, variables={}, python="-W error", check=False)

    named = re.findall(r"^  ([A-Z_]+) is missing\. \w", done.stdout, re.MULTILINE)
    assert done.returncode == 3
    assert "Traceback" not in done.stdout
    assert named == ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "EMAIL_HOST"]


@pytest.mark.parametrize("server", EACH)
def test_a_production_set_raises_no_issue(
    server: str, projects: Projects, production: dict[str, str]
) -> None:
    """Django's deployment checks find nothing, with every dependency down (S2)."""
    with black_hole() as port:
        variables = {
            **production,
            "DATABASE_URL": f"postgres://me:pass@127.0.0.1:{port}/it",
            "EXTERNAL_SERVICES": f"api=http://127.0.0.1:{port}/",
        }

        done = projects(server=server).manage(*CHECK, variables=variables, python="-W error")

    assert done.stdout == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "SECRET_KEY": ("short", "has fewer than 50 characters"),
            "DATABASE_URL": ("postgres://me:a#b@db/it", "needs # ? /"),
            "WEB_CONCURRENCY": ("two", "is not a whole number of at least 1"),
            "SECURE_SSL_REDIRECT": ("perhaps", "is neither true nor false"),
        },
        {
            "SECRET_KEY": ("ab" * 40, "has fewer than 50 characters, or fewer than 10 different"),
            "DATABASE_URL": ("postgres://me:a/b@db/it", "needs # ? /"),
            "STARTUP_CHECKS": ("sometimes", "is not one of strict, warn, off"),
        },
        {
            "SECRET_KEY": ("change-me", "still holds the placeholder 'change-me'"),
            "DATABASE_URL": ("postgres://me:a?b@db/it", "needs # ? /"),
            "TRUSTED_PROXIES": ("10.0.0.0/99", "is not a list of address ranges"),
        },
        {
            "DATABASE_URL": ("postgres://me:ab@db", "names no database"),
            "REDIS_URL": ("http://redis", "does not begin with redis:// or rediss://"),
            "EXTERNAL_SERVICES": ("https://api.example.com", "has an address without a name"),
        },
        {
            "ADMIN_URL": ("/admin", "begins with a slash, or does not end with one"),
            "ALLOWED_HOSTS": ("a.example.com,https://b.example.com", "has 'https://b.example.com'"),
            "CSRF_TRUSTED_ORIGINS": ("forms.example.com", "does not begin with http:// or https"),
            "LANGUAGE_CODE": ("xx", "is not a language that Django knows"),
            "TIME_ZONE": ("Europe", "is not a time zone that this machine knows"),
        },
    ],
)
def test_wrong_variables_are_refused_with_a_sentence(
    wrong: dict[str, tuple[str, str]], refusal: Run
) -> None:
    """One message says of each value that cannot work what to do about it (S3)."""
    message = refusal(**{name: value for name, (value, _) in wrong.items()})

    assert set(re.findall(r"^  ([A-Z_]+) ", message, re.MULTILINE)) == set(wrong)
    for name, (_, sentence) in wrong.items():
        assert f"  {name} {sentence}" in message


def test_addresses_and_shares_are_refused_with_a_sentence(
    projects: Projects, production: dict[str, str]
) -> None:
    """So are those of a tracker and of storages (S3)."""
    answers = {"error_tracking": "sentry", "static_files": "s3", "use_dbbackup": True}
    wrong = {
        "AWS_S3_ENDPOINT_URL": "minio:9000",
        "BACKUP_S3_ENDPOINT_URL": "minio:9000",
        "SENTRY_DSN": "sentry.example.com",
        "SENTRY_TRACES_SAMPLE_RATE": "50",
    }
    done = projects(**answers).manage(
        "check", variables={**production, "AWS_STORAGE_BUCKET_NAME": "it", **wrong}, check=False
    )

    assert set(re.findall(r"^  ([A-Z_0-9]+) ", done.stdout, re.MULTILINE)) == set(wrong)
    assert "SENTRY_TRACES_SAMPLE_RATE is not a number from 0 to 1" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_missing_secret_file_is_refused(refusal: Run) -> None:
    """A file that cannot be read is named (S10)."""
    assert "SECRET_KEY cannot be read: No such file" in refusal(SECRET_KEY_FILE="/nowhere/key")


def test_a_secret_may_come_as_a_file(setting: Run, tmp_path: Path) -> None:
    """The end of the file's last line does not belong to the secret (S10)."""
    file = tmp_path / "key"
    file.write_text(PRODUCTION["SECRET_KEY"] + "-from-a-file\n")

    key = setting("SECRET_KEY", SECRET_KEY_FILE=str(file), SECRET_KEY="")

    assert key == repr(PRODUCTION["SECRET_KEY"] + "-from-a-file")


def test_a_value_may_begin_with_a_dollar_sign(setting: Run) -> None:
    """A dollar sign in a secret names no other variable (S3)."""
    assert setting("SECRET_KEY", SECRET_KEY=KEY) == repr(KEY)


def test_sessions_are_in_the_database(setting: Run) -> None:
    """A cache that was away while somebody logged out would know the session still (S6)."""
    assert setting("SESSION_ENGINE") == "'django.contrib.sessions.backends.db'"


def test_a_list_may_hold_spaces(setting: Run) -> None:
    """Spaces around the items of a list mean nothing (S8)."""
    hosts = setting("ALLOWED_HOSTS", ALLOWED_HOSTS=" a.example.com , b.example.com,")

    assert hosts == "['a.example.com', 'b.example.com']"


def test_an_encoded_password_reaches_postgresql(
    projects: Projects, production: dict[str, str], postgres: Postgres
) -> None:
    """Each character that means something in a URL may stand in a password, encoded (S5)."""
    url = postgres.database()

    done = projects(server=DEFAULT).manage(
        "check_dependencies", variables={**production, "DATABASE_URL": url}
    )

    assert set("#/?@:%") <= set(postgres.password)
    assert re.search(r"^database +ok ", done.stdout, re.MULTILINE)
    assert postgres.password not in done.stdout


def test_the_command_waits_and_tells(projects: Projects, production: dict[str, str]) -> None:
    """Asking by hand shows the same table, and fails when a required one is down (H2)."""
    done = projects(server=DEFAULT).manage("check_dependencies", variables=production, check=False)

    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.split()[0] for line in lines] == ["DEPENDENCY", "database", "redis"]
    assert "DOWN" in lines[1]
    assert "down, optional" in lines[2]
