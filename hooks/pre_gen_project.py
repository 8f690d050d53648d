"""Refuse answers that no service can be made of, all of them in one list."""

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator

ANSWERS = r"""{{ cookiecutter | jsonify }}"""

SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
HOST = re.compile(rf"({LABEL}\.)+(?!\d+$){LABEL}", re.ASCII)
MAILBOX = re.compile(r"[\w%+'-]+(\.[\w%+'-]+)*", re.ASCII)
DELIMITER = re.compile(r"\{[%#{]")
BIDIRECTIONAL = {"FSI", "LRE", "LRI", "LRO", "PDF", "PDI", "RLE", "RLI", "RLO"}

# What a service imports by these names, or finds in its own folder.
LAYOUT = {"apps", "config", "conftest", "deploy", "manage", "templates", "test", "tests"}
# Packages and modules of every dependency: a test compares them with what is installed.
DEPENDENCIES = """
allow_cidr amqp annotated_types anyio asgiref ast_serialize attr attrs autobahn automat billiard
boolean boolean_py boto3 botocore brotli bugsnag cachecontrol cbor2 celery certifi cffi cgi cgitb
charset_normalizer click click_didyoumean click_plugins click_repl constantly cryptography cyclonedx
cyclonedx_python_lib daphne dateutil dbbackup defusedxml django django_allow_cidr django_dbbackup
django_environ django_ninja django_permissions_policy django_redis django_storages django_stubs
django_stubs_ext django_tasks_db djangorestframework dockerflow dotenv drf_spectacular
drf_spectacular_sidecar elastic_transport elasticsearch environ filelock gunicorn h11 hiredis
httptools hyperlink idna incremental inflection iniconfig jmespath jsonschema
jsonschema_specifications kombu legacy_cgi librt license_expression markdown_it markdown_it_py mdurl
msgpack mypy mypy_django_plugin mypy_extensions mypyc ninja packageurl packageurl_python packaging
packaging_legacy_version pathspec pip pip_api pip_audit pip_requirements_parser platformdirs pluggy
prometheus_client prompt_toolkit psycopg psycopg_binary psycopg_pool py py_serializable pycparser
pydantic pydantic_core pygments pyopenssl pyparsing pytest pytest_django pytest_env python_dateutil
python_dotenv pyuwsgi pyyaml redis referencing requests rest_framework rich rpds rpds_py ruff
s3transfer sentry_sdk service_identity six sniffio sortedcontainers sqlparse storages structlog
tomli tomli_w twisted txaio types_pyyaml typing_extensions typing_inspection tzlocal ujson
uritemplate urllib3 uvicorn uvicorn_worker uvloop uwsgidecorators vine wcwidth webob whitenoise yaml
zope zope_interface
"""


def problems(answers: dict) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with the answers."""
    for name in ("project_name", "description", "author_name"):
        yield from text_problems(name, answers[name])
    yield from slug_problems(answers["__slug"])
    mailbox, _, host = answers["author_email"].rpartition("@")
    if not MAILBOX.fullmatch(mailbox) or len(mailbox) > 64 or not is_host(host.lower()):
        yield "author_email is not an e-mail address: write one such as team@example.com."
    if not is_host(answers["domain_name"]):
        yield (
            "domain_name is not a host name: write one such as api.example.com, in lower case, "
            "without https:// and without a port."
        )


def text_problems(name: str, text: str) -> Iterator[str]:
    """Yield what keeps a text from standing in every format, or on one line."""
    if not text.strip():
        yield f"{name} is empty: write a few words."
    elif text != text.strip():
        yield f"{name} begins or ends with a space: leave it out."
    if len(text) > 200:
        yield f"{name} has {len(text)} characters: use at most 200."
    if unsafe := sorted({f"U+{ord(character):04X}" for character in text if is_unsafe(character)}):
        yield f"{name} holds control characters: leave out {', '.join(unsafe)}."
    # An update renders the answers once more.
    if found := DELIMITER.search(text):
        yield f"{name} holds {found[0]}, which begins a template tag: put a space into it."


def is_unsafe(character: str) -> bool:
    """Return whether a format forbids a character, or it disturbs the text around it."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in BIDIRECTIONAL
        or character == "\ufeff"
        or "\ufdd0" <= character <= "\ufdef"
        or ord(character) & 0xFFFE == 0xFFFE
    )


def slug_problems(slug: str) -> Iterator[str]:
    """Yield what keeps a slug from naming folders, images and databases."""
    if not SLUG.fullmatch(slug):
        yield (
            f"project_slug {slug!a} is not a name for code: begin with a lower-case letter and go "
            "on with lower-case letters, digits and single underscores."
        )
    if len(slug) > 40:
        yield f"project_slug has {len(slug)} characters: use at most 40."
    if slug in {*keyword.kwlist, *sys.stdlib_module_names, *LAYOUT, *DEPENDENCIES.split()}:
        yield (
            f"project_slug {slug!r} means something else in Python or in a service: "
            f"choose another one, such as {slug}_service."
        )


def is_host(name: str) -> bool:
    """Return whether this is a host name with a domain (RFC 1123)."""
    labels = name.split(".")
    return bool(HOST.fullmatch(name)) and len(name) <= 253 and max(map(len, labels)) <= 63


if __name__ == "__main__":
    if found := list(problems(json.loads(ANSWERS))):
        lines = ["No service was made, because of these answers:", ""]
        sys.exit("\n".join([*lines, *(f"  - {problem}" for problem in found), ""]))
