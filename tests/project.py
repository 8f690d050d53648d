"""A rendered service that tests run as its image would."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.services import Process, free_port, until
from tools import render

HOST = "example.com"
PRODUCTION = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP",
    "ALLOWED_HOSTS": HOST,
    "EMAIL_HOST": "127.0.0.1",
}

# What a test may ask of a service, behind all that protects the service's own addresses.
TRIAL = """
import os
import threading
import time

from django.contrib.auth import get_user_model, login
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config import urls


@csrf_exempt
def slow(request):
    print("SLOW REQUEST BEGINS", flush=True)
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("slept")


async def block(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("blocked")


def backend(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_sleep(%s)", [request.GET.get("seconds", 0)])
        row = cursor.fetchone()
    return JsonResponse({"worker": os.getpid(), "backend": row[0]})


def statement(request):
    with connection.cursor() as cursor:
        cursor.execute(request.GET["sql"])
        return JsonResponse({"rows": cursor.fetchall()})


def users(request):
    found = get_user_model().objects.order_by("pk").iterator(chunk_size=1)
    return JsonResponse({"users": [user.pk for user in found if not time.sleep(0.01)]})


def remember(request):
    began = time.perf_counter()
    cache.set("key", request.GET["value"], 60)
    value = cache.get("key")
    seconds = time.perf_counter() - began
    return JsonResponse({"value": value, "seconds": seconds, "worker": os.getpid()})


def forget(request):
    cache.delete("key")
    return JsonResponse({"value": cache.get("key")})


def enter(request):
    user, _ = get_user_model().objects.get_or_create(username="someone")
    login(request, user)
    return HttpResponse("in")


def who(request):
    return HttpResponse(request.user.get_username())


@csrf_exempt
def upload(request):
    return JsonResponse({"sizes": [file.size for file in request.FILES.values()]})


def long(request):
    return HttpResponse(b"a" * 30_000_000)


def scheme(request):
    return JsonResponse({"scheme": request.scheme, "address": request.META["REMOTE_ADDR"]})


handler500 = urls.handler500
urlpatterns = [
    path("trial/slow", slow),
    path("trial/block", block),
    path("trial/backend", backend),
    path("trial/statement", statement),
    path("trial/users", users),
    path("trial/remember", remember),
    path("trial/forget", forget),
    path("trial/enter", enter),
    path("trial/who", who),
    path("trial/upload", upload),
    path("trial/scheme", scheme),
    path("trial/long", long),
    *urls.urlpatterns,
]
"""
SETTINGS = """
from config.settings import *

ROOT_URLCONF = "trial"
"""


class Server(Process):
    """A server that runs a service."""

    port: int
    folder: Path

    def get(self, path: str, *, host: str = HOST, method: str = "GET", **headers: str) -> Any:
        """Ask for a path as a proxy would that a browser has called over HTTPS."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers={"Host": host, "X-Forwarded-Proto": "https", **names},
            allow_redirects=False,
            timeout=30,
        )

    def serves(self) -> bool:
        """Return whether it answers; that it has ended is a failure."""
        assert self.running, f"ended with status {self.popen.returncode}:\n{self.output[-3000:]}"
        try:
            return bool(self.get("/__lbheartbeat__").status_code == 200)
        except requests.RequestException:
            return False


class Project:
    """A service that was rendered with some answers."""

    def __init__(self, answers: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        render.write(answers, folder)
        self.runs = 0
        (self.folder / "trial.py").write_text(TRIAL)
        (self.folder / "trial_settings.py").write_text(SETTINGS)

    @property
    def command(self) -> list[str]:
        """Return the command of its image."""
        lines = (self.folder / "Dockerfile").read_text().splitlines()
        line, *_ = (line for line in lines if line.startswith("CMD "))
        found = json.loads(line.removeprefix("CMD "))
        assert isinstance(found, list)
        return found

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return what its image would set, and variables."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            **variables,
        }

    def manage(
        self, *arguments: str, variables: Mapping[str, str], check: bool = True, python: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command; its standard error follows its standard output."""
        done = subprocess.run(
            ["python", *python.split(), "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def start(
        self,
        variables: Mapping[str, str],
        *,
        command: list[str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> Server:
        """Start its server, and do not wait for it."""
        self.runs += 1
        port = free_port()
        server = Server(
            command or self.command,
            self.folder,
            self.environment({"PORT": str(port), **variables}),
            self.folder / f"run-{self.runs}.log",
            prefix=prefix,
        )
        server.port = port
        server.folder = self.folder
        return server

    @contextmanager
    def serve(
        self, variables: Mapping[str, str], command: list[str] | None = None
    ) -> Iterator[Server]:
        """Yield its server once that serves, and stop it."""
        server = self.start(variables, command=command)
        try:
            until(server.serves, 120, "the start of the service")
            yield server
        finally:
            server.stop(signal.SIGTERM)
