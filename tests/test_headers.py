"""What browsers are told by the headers of a service, as the HTTP Observatory grades it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Projects
from tests.linters import lint, module
from tests.project import HOST, PRODUCTION, Server
from tests.services import Postgres, free_port
from tools.render import options

pytestmark = pytest.mark.slow


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """Return an answer as the grader reads it."""
    answer = server.get(path, method=method, Accept="text/html", **headers)
    fields = {name.lower(): value for name, value in answer.headers.items()}
    return {"status": answer.status_code, "headers": fields, "body": answer.text}


def page(server: Server, path: str) -> dict[str, Any]:
    """Return what a browser gets from a page, over TLS, without it, and from elsewhere."""
    answer = ask(server, path)
    cookies = server.get(path, Accept="text/html").raw.headers.getlist("Set-Cookie")
    elsewhere = {
        "Origin": "https://http-observatory.security.mozilla.org",
        "Access-Control-Request-Method": "GET",
    }
    return {
        **answer,
        "url": f"https://{HOST}{path}",
        "cookies": cookies,
        "plain": ask(server, path, X_Forwarded_Proto="http"),
        "preflight": ask(server, path, method="OPTIONS", **elsewhere),
    }


@pytest.mark.parametrize("api", [api for api in options()["api"] if api != "none"])
def test_pages_earn_an_a_plus(
    api: str, projects: Projects, postgres: Postgres, tmp_path: Path
) -> None:
    """API docs, admin login and health page earn an A+ with nothing failed (D10, S2)."""
    project = projects(api=api)
    variables = {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "DJANGO_MANAGEPY_MIGRATE": "on",
    }
    project.manage("migrate", "--verbosity=0", variables=variables)
    project.manage("collectstatic", "--no-input", "--verbosity=0", variables=variables)
    with project.serve(variables) as server:
        docs = page(server, "/api/v1/docs")
        login = page(server, "/admin/login/")
        # It answers over plain HTTP too, where the proxy in front redirects people.
        health = {**page(server, "/health"), "plain": login["plain"]}
    pages = tmp_path / "pages.json"
    pages.write_text(json.dumps([docs, login, health]))

    script = str(Path(__file__).with_name("observatory.mjs"))
    folder = module("@mdn/mdn-http-observatory")
    # The list of preloaded domains is fetched in a step of its own; this domain is none of them.
    (folder / "conf/hsts-preload.json").write_text("{}")
    command = f'node "$@" {pages} > grades.json'
    output = lint(tmp_path, "sh", "-c", command, "sh", script, str(folder))

    assert output == ""
    assert docs["status"] == login["status"] == health["status"] == 200
    assert "text/html" in docs["headers"]["content-type"]
    assert [
        (it["grade"], it["failed"]) for it in json.loads((tmp_path / "grades.json").read_text())
    ] == [("A+", [])] * 3
