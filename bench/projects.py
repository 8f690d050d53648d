"""What is measured: a bare Django project, and services with any answers."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.project import HOST, PRODUCTION, Project
from tests.services import Postgres
from tools.checks import locked, not_locked

VIEWS = Path(__file__).with_name("views")
# As many threads and pooled connections as a service has by itself.
WORKERS = 2
THREADS = 4
POOL = 8
COMMANDS = {
    "gunicorn": f"gunicorn --bind 127.0.0.1:$PORT --workers {WORKERS} --threads {THREADS}"
    " bare.wsgi",
    "uvicorn": f"gunicorn --bind 127.0.0.1:$PORT --workers {WORKERS}"
    " --worker-class uvicorn_worker.UvicornWorker bare.asgi",
    "daphne": "daphne --port $PORT --verbosity 0 bare.asgi:application",
    "uwsgi": f"uwsgi --http-socket 127.0.0.1:$PORT --processes {WORKERS} --threads {THREADS}"
    " --module bare.wsgi --master --need-app --single-interpreter --disable-logging --die-on-term",
}
ASGI = {"uvicorn", "daphne"}
MIGRATE = """
from django.contrib.auth import get_user_model
from django.core.management import call_command

call_command("migrate", verbosity=0)
get_user_model().objects.create(username="bench")
"""
CREATE_TOKEN = """
call_command("create_token", "bench")
"""
BARE_SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = [{host!r}]
DATABASES = {{"default": {database!r}}}
"""
BARE_URLS = """
from bench_views import urlpatterns as measured

urlpatterns += measured
"""
SITE = """
import sys
from importlib import metadata

sys.modules.update(dict.fromkeys({missing}))
metadata.distributions = lambda: map(metadata.distribution, {packages})
"""
SERVICE_SETTINGS = """
import os

from config.settings import *

ROOT_URLCONF = "bench_urls"
# To compress what is never served would take most of the time.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["css", "js", "json", "map", "svg", "txt"]
if os.environ.get("BENCH_CONNECTIONS") == "one a request":
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"].pop("pool", None)
"""
SERVICE_URLS = """
from bench_views import urlpatterns as measured

from config.urls import *

urlpatterns += measured
"""


def most_connections(server: str) -> int:
    """Return how many connections to the database a service may have at most."""
    each = POOL if server in ASGI else THREADS
    return each if server == "daphne" else each * WORKERS


class Bare(Project):
    """What ``django-admin startproject`` makes, with two views and DEBUG off.

    Its connections are kept in the way of a service, so that a query costs the same in both.
    """

    def __init__(self, server: str, folder: Path, postgres: Postgres) -> None:
        self.folder = folder
        self.runs = 0
        self.server = server
        self.database = postgres.database().rpartition("/")[2]
        self.variables: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-m", "django", "startproject", "bare", str(folder)], check=True
        )
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": postgres.port,
            "NAME": self.database,
            "USER": postgres.user,
            "PASSWORD": postgres.password,
        }
        if server in ASGI:
            database["OPTIONS"] = {"pool": {"min_size": 1, "max_size": POOL}}
        else:
            database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        (folder / "bench_views.py").write_text((VIEWS / "plain.py").read_text())
        with (folder / "bare" / "settings.py").open("a") as settings:
            settings.write(BARE_SETTINGS.format(host=HOST, database=database))
        with (folder / "bare" / "urls.py").open("a") as urls:
            urls.write(BARE_URLS)
        self.manage("shell", "--command", MIGRATE, variables={})

    @property
    def command(self) -> list[str]:
        """Return how its server is started."""
        return ["sh", "-c", f"exec {COMMANDS[self.server]}"]


class Service(Project):
    """A rendered service that runs as in production, with two views more."""

    def __init__(
        self,
        answers: Mapping[str, Any],
        folder: Path,
        postgres: Postgres,
        variables: Mapping[str, str],
    ) -> None:
        super().__init__(answers, folder)
        self.server = answers["server"]
        url = postgres.database()
        self.database = url.rpartition("/")[2]
        self.variables = {
            **PRODUCTION,
            "API_CALLS_PER_MINUTE": "1000000",
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "bench_settings",
            "WEB_CONCURRENCY": str(WORKERS),
            **variables,
        }
        # Libraries look at more, and load more, where more is installed than the image has.
        requirements = (folder / "requirements.txt").read_bytes()
        site = SITE.format(
            missing=sorted(not_locked(requirements)), packages=sorted(locked(requirements))
        )
        (folder / "sitecustomize.py").write_text(site)
        self.variables["PYTHONPATH"] = str(folder)
        views = "plain" if answers["api"] == "none" else answers["api"]
        (folder / "bench_views.py").write_text((VIEWS / f"{views}.py").read_text())
        (folder / "bench_urls.py").write_text(SERVICE_URLS)
        (folder / "bench_settings.py").write_text(SERVICE_SETTINGS)
        if answers["static_files"] == "whitenoise":
            collect = ("collectstatic", "--no-input", "--verbosity", "0")
            self.manage(*collect, variables=self.variables)
        code = MIGRATE if answers["api"] == "none" else MIGRATE + CREATE_TOKEN
        printed = self.manage("shell", "--command", code, variables=self.variables).stdout
        self.headers = {"Authorization": f"Bearer {printed.split()[-1]}"} if printed else {}
