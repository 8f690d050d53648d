"""The variables of a service are documented where they are declared."""

import re

import pytest

from tools import variables
from tools.render import Answers, command, largest, pairwise, render


def test_documents_carry_what_settings_declares() -> None:
    """README and .env.example of the service come from settings.py (S8)."""
    for path, text in variables.documents().items():
        assert path.read_text() == text, f"run make variables: {path.name} is out of date"


def test_choices_are_named_where_they_are_documented() -> None:
    """README and .env.example name each value that a variable may have (S8)."""
    for text in variables.documents().values():
        assert "One of strict, warn, off." in text
        assert "One of debug, info, warning, error." in text


def test_each_variable_is_declared_with_a_sentence() -> None:
    """Each variable is declared with a sentence, and the fixed names are among them (S8)."""
    declared = {variable.name: variable for variable in variables.declared()}

    assert all(variable.help.endswith(".") for variable in declared.values())
    # Each stands alone in the message at the start.
    another = re.compile(r"^Its |\bthat (bucket|rule|server|to)\b")
    assert [name for name, variable in declared.items() if another.search(variable.help)] == []
    fixed = """
        SECRET_KEY DEBUG ALLOWED_HOSTS ALLOWED_CIDR_NETS DATABASE_URL REDIS_URL CELERY_BROKER_URL
        ELASTICSEARCH_URL EXTERNAL_SERVICES PORT WEB_CONCURRENCY STARTUP_CHECKS STARTUP_TIMEOUT
        DJANGO_MANAGEPY_MIGRATE ADMIN_URL LOG_LEVEL EMAIL_HOST SENTRY_DSN BUGSNAG_API_KEY
        AWS_STORAGE_BUCKET_NAME
    """
    assert set(fixed.split()) <= set(declared)


@pytest.mark.parametrize("answers", [*pairwise(), largest()], ids=command)
def test_whatever_runs_a_service_sets_what_it_requires(answers: Answers) -> None:
    """`make check`, Compose and Kubernetes know each variable without a default (S3, D4, D6)."""
    files = {
        path: content.decode()
        for path, (_, content) in render({**answers, "use_kubernetes": True}).items()
    }
    required = re.findall(r"(?m)^\| `(\w+)` \| .+ \| \*\*required\*\* \|$", files["README.md"])

    manifests = "".join(files[path] for path in files if path.startswith("deploy/kubernetes/"))
    places = {
        r"(?m)^(PRODUCTION := .*|\t){}=": files["Makefile"],
        r"(?m)^ +{}(_FILE)?: ": files["compose.yaml"],
        r"(?m)^( +- )?{}(_FILE)?=": manifests,
    }
    missing = [
        (name, place)
        for name in required
        for place, text in places.items()
        if not re.search(place.format(name), text)
    ]
    assert "DATABASE_URL" in required
    assert missing == []
