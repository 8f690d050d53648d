"""Variables of the environment are read, checked and documented."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from config.settings import env
from config.variables import (
    Check,
    Variables,
    check_host,
    check_language,
    check_origin,
    check_path,
    check_time_zone,
)

KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

type Make = Callable[..., Variables]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """Return a function that reads an environment, in production unless it says otherwise."""

    def make(**environment: str) -> Variables:
        for name, value in {"DEBUG": "false", **environment}.items():
            monkeypatch.setenv(name, value)
        made = Variables(tmp_path / ".env")
        made.debug_mode("DEBUG", "Development.")
        return made

    return make


def test_all_problems_are_reported_at_once(
    variables: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    env = variables(A_NUMBER="many", A_SWITCH="perhaps", A_SECRET="change-me")
    env.integer("A_NUMBER", "How many.", default=1)
    env.boolean("A_SWITCH", "Whether.", default=True)
    env.text("A_SECRET", "What nobody knows.", example="something long")
    env.text("NOT_THERE", "What is missing.", example="something")

    with pytest.raises(SystemExit) as stopped:
        env.check()

    message = capsys.readouterr().err
    assert stopped.value.code == 3
    for name in ("A_NUMBER", "A_SWITCH", "A_SECRET", "NOT_THERE"):
        assert f"  {name} " in message
    assert "What is missing." in message
    assert "NOT_THERE=something" in message


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "65536", "99999"])
def test_a_number_out_of_bounds_is_refused(variables: Make, number: str) -> None:
    env = variables(A_PORT=number, AN_ADDRESS=f"https://example.com:{number}")

    env.integer("A_PORT", "Where.", default=1, minimum=1, maximum=65535)
    env.url("AN_ADDRESS", "Where.", schemes={"https"}, example="")

    assert env.problems == {
        "A_PORT": "is not a whole number from 1 to 65535",
        "AN_ADDRESS": "has a port that is not a number from 1 to 65535",
    }


def test_nothing_is_required_in_development(variables: Make) -> None:
    env = variables(DEBUG="true")

    url = env.url("SOME_URL", "Somewhere.", schemes={"https"}, example="https://example.com")

    assert url == ""
    assert not env.problems


def test_a_file_may_hold_the_value(variables: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("$tr0ng#er\n")
    env = variables(A_SECRET_FILE=str(tmp_path / "secret"))

    assert env.text("A_SECRET", "What nobody knows.") == "$tr0ng#er"


def test_a_file_that_is_missing_is_a_problem(variables: Make, tmp_path: Path) -> None:
    env = variables(A_SECRET_FILE=str(tmp_path / "secret"))

    env.text("A_SECRET", "What nobody knows.")

    assert "No such file" in env.problems["A_SECRET"]


def test_other_apis_are_named_without_secrets(variables: Make) -> None:
    env = variables(APIS="billing=https://user:secret@billing.example.com/health")

    env.services("APIS", "Others.", example="")

    assert "has a user name" in env.problems["APIS"]


def test_lists_may_have_spaces(variables: Make) -> None:
    env = variables(A_LIST=" a.example.com, b.example.com ,")

    assert env.texts("A_LIST", "Hosts.") == ["a.example.com", "b.example.com"]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_host, "example.com"),
        (check_host, ".example.com"),
        (check_host, "my_service"),
        (check_host, "[::1]"),
        (check_host, "*"),
        (check_language, "de-at"),
        (check_origin, "https://*.example.com"),
        (check_origin, "http://127.0.0.1:8000"),
        (check_path, "admin/"),
        (check_time_zone, "Europe/Berlin"),
    ],
)
def test_what_is_well_formed_is_taken(check: Check, value: str) -> None:
    check(value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_host, "https://example.com"),
        (check_host, "example.com:8000"),
        (check_host, "example.com/path"),
        (check_language, "xx"),
        (check_origin, "example.com"),
        (check_origin, "https://example.com/"),
        (check_path, "/admin/"),
        (check_path, "admin"),
        (check_time_zone, "Europe"),
        (check_time_zone, "Europe/Nowhere"),
        (check_time_zone, "../etc/passwd"),
    ],
)
def test_what_is_malformed_is_refused(variables: Make, check: Check, value: str) -> None:
    env = variables(A_TEXT=value, A_LIST=f"{value},{value}")

    env.text("A_TEXT", "Something.", check=check)
    env.texts("A_LIST", "Several.", check=check)

    assert set(env.problems) == {"A_TEXT", "A_LIST"}


@pytest.mark.parametrize("password", ["pa#ss", "pa/ss", "pa?ss", "12#34"])
def test_a_password_that_breaks_the_url_is_refused(variables: Make, password: str) -> None:
    env = variables(A_DATABASE=f"postgres://app:{password}@db:5432/app")

    env.database("A_DATABASE", "Rows.", development="sqlite:///x", example="postgres://db/app")

    assert "%23" in env.problems["A_DATABASE"]


def test_a_password_may_be_percent_encoded(variables: Make) -> None:
    env = variables(A_DATABASE="postgres://app:pa%23%2Fss@db:5432/app")

    database = env.database("A_DATABASE", "Rows.", development="sqlite:///x", example="")

    assert database["PASSWORD"] == "pa#/ss"


@pytest.mark.parametrize("key", ["short", "a" * 60, f"$({KEY})", f"`{KEY}`"])
def test_weak_secret_keys_are_refused(variables: Make, key: str) -> None:
    env = variables(A_KEY=key, FORMER_KEYS=f"{KEY},{key}")

    env.secret_key("A_KEY", "Signs.", example="")
    env.secret_keys("FORMER_KEYS", "Signed.", default=[])

    assert set(env.problems) == {"A_KEY", "FORMER_KEYS"}


def test_a_secret_key_is_one_that_can_become_a_former_one(variables: Make) -> None:
    env = variables(A_KEY=f"{KEY},{KEY}", FORMER_KEYS=f"{KEY}a, {KEY}b")

    env.secret_key("A_KEY", "Signs.", example="")
    former = env.secret_keys("FORMER_KEYS", "Signed.", default=[])

    assert former == [f"{KEY}a", f"{KEY}b"]
    assert set(env.problems) == {"A_KEY"}
    assert "has a comma" in env.problems["A_KEY"]


@pytest.mark.parametrize("password", ["[s3cret]", "s3cret[", "s3cret\N{ACCOUNT OF}"])
def test_no_part_of_a_password_is_shown(variables: Make, password: str) -> None:
    env = variables(AN_ADDRESS=f"https://me:{password}@example.com")

    env.url("AN_ADDRESS", "Where.", schemes={"https"}, example="")

    assert "s3cret" not in env.problems["AN_ADDRESS"]
    assert "%5B" in env.problems["AN_ADDRESS"]


def test_no_example_of_a_secret_is_accepted(variables: Make) -> None:
    dotenv = (settings.BASE_DIR / ".env.example").read_text()
    examples = re.findall(r"(?m)^(?:# )?([A-Z0-9_]+)=(.+)$", dotenv)
    examples += [(variable.name, variable.example) for variable in env.declared.values()]
    secret = re.compile(r"\w*SECRET\w*=.+|.*://.*@.*")
    lines = [f"{name}={value}" for name, value in examples]

    for line in filter(secret.fullmatch, lines):
        made = variables(A_SECRET=line.partition("=")[2])
        made.text("A_SECRET", "What nobody knows.")

        assert "A_SECRET" in made.problems, line


def test_external_services_may_be_optional(variables: Make) -> None:
    env = variables(APIS="billing=https://billing/health, maps?=http://maps:8080/up")

    billing, maps = env.services("APIS", "Others.", example="")

    assert (billing.name, billing.required) == ("billing", True)
    assert (maps.name, maps.required) == ("maps", False)


def test_every_variable_is_documented() -> None:
    names = set(env.declared)
    readme = (settings.BASE_DIR / "README.md").read_text()
    dotenv = (settings.BASE_DIR / ".env.example").read_text()

    assert set(re.findall(r"(?m)^\| `([A-Z0-9_]+)` \|", readme)) == names
    assert set(re.findall(r"(?m)^(?:# )?([A-Z0-9_]+)=", dotenv)) == names
    for variable in env.declared.values():
        assert variable.help in readme
        assert variable.help in dotenv
