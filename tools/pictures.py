"""``make pictures`` takes the pictures of README of a running service, with Chromium."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.project import PRODUCTION, Project, Server
from tests.services import Postgres, free_port, running, website
from tools.render import ROOT

# What is shown, up to which part of the page.
PAGES = {"health": ("/health", "body"), "api": ("/api/v1/docs", "#swagger-ui")}
SIZE = {"width": 900, "height": 640}


def take(server: Server, folder: Path) -> None:
    """Write a picture of each page into a folder."""
    program = shutil.which("google-chrome") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = browser.new_page(viewport=SIZE)
        for name, (path, part) in PAGES.items():
            page.goto(f"http://localhost:{server.port}{path}", wait_until="networkidle")
            bottom = page.locator(part).bounding_box()
            height = min(SIZE["height"], int(bottom["y"] + bottom["height"]) if bottom else 0)
            page.screenshot(
                path=folder / f"{name}.png",
                clip={"x": 0, "y": 0, "width": SIZE["width"], "height": height},
            )
        browser.close()


def main() -> None:
    """Run a service whose cache is down, and take the pictures of it."""
    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory() as name, running(Postgres) as postgres, website() as billing:
        project = Project({}, Path(name))
        variables = {
            **PRODUCTION,
            "ALLOWED_HOSTS": "localhost",
            "DATABASE_URL": postgres.database(),
            "EXTERNAL_SERVICES": f"billing={billing.url}",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "SECURE_SSL_REDIRECT": "false",
        }
        for command in (["migrate"], ["collectstatic", "--no-input"]):
            project.manage(*command, variables=variables)
        with project.serve(variables) as server:
            take(server, folder)
    for path in sorted(folder.glob("*.png")):
        sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
