"""``make pictures`` takes the pictures of README of a running service, with Chromium."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.project import Project, Server
from tests.services import Postgres, Prometheus, Redis, running, until, website
from tests.test_api import token, variables
from tests.test_metrics import panels
from tools.render import ROOT

PICTURES = ROOT / "docs"
# Where make pictures installs Grafana's components.
PACKAGES = ROOT / "build/pictures/node_modules"
# What is shown, in pixels, and of pages up to the end of which part.
PAGE = {"width": 900, "height": 640}
DASHBOARD = {"width": 1200, "height": 524}
PAGES = {"health": ("/health", "body"), "api": ("/api/v1/docs", "#swagger-ui")}
# What clients ask for meanwhile, and for how long, in seconds.
PATHS = ["/api/v1/notes", "/api/v1/notes", "/api/v1/users/me", "/admin/login/", "/missing"]
SPAN = 240


@contextmanager
def clients(server: Server, bearer: str) -> Iterator[None]:
    """Ask for this and that meanwhile."""
    done = threading.Event()

    def ask() -> None:
        while not done.wait(random.uniform(0.02, 0.1)):
            server.get(random.choice(PATHS), host="127.0.0.1", Authorization=f"Bearer {bearer}")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def observe(prometheus: Prometheus, project: Project, begin: float) -> dict[str, Any]:
    """Return the dashboard of a service with what Prometheus has answered to each query."""
    end = time.time()
    shown = panels(project.folder)
    for target in (target for panel in shown for target in panel["targets"]):
        found = prometheus.ask(
            "query_range", query=target["expr"], start=str(begin), end=str(end), step="2"
        )
        target["result"] = found["result"]
    return {"panels": shown, "time": {"from": begin * 1000, "to": end * 1000}}


def take_page(page: Page, name: str, address: str, part: str) -> None:
    """Write a picture of a page of the service."""
    page.goto(address, wait_until="networkidle")
    bottom = page.locator(part).bounding_box()
    height = min(PAGE["height"], int(bottom["y"] + bottom["height"]) if bottom else 0)
    clip = {"x": 0, "y": 0, "width": PAGE["width"], "height": height}
    page.screenshot(path=PICTURES / f"{name}.png", clip=clip)


def take_dashboard(page: Page, dashboard: dict[str, Any], folder: Path) -> None:
    """Write a picture of the upper part of the dashboard."""
    bundle = folder / "dashboard.js"
    subprocess.run(
        [
            PACKAGES / ".bin/esbuild",
            ROOT / "tools/dashboard.jsx",
            *("--bundle", "--jsx=automatic", "--log-level=warning", "--log-limit=0"),
            *('--define:process.env.NODE_ENV="production"', f"--outfile={bundle}"),
            *(f"--loader:.{kind}=dataurl" for kind in ("svg", "ttf", "woff2")),
        ],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        check=True,
    )
    page.set_viewport_size(DASHBOARD)
    # Its storage needs an address.
    page.route("http://dashboard/", lambda route: route.fulfill(content_type="text/html"))
    page.goto("http://dashboard/")
    page.evaluate("dashboard => { window.dashboard = dashboard }", dashboard)
    page.add_style_tag(path=bundle.with_suffix(".css"))
    page.add_script_tag(path=bundle)
    page.locator(".uplot").last.wait_for()
    page.screenshot(path=PICTURES / "dashboard.png")


def main() -> None:
    """Run a service, take away what it depends on, and take pictures of what it shows."""
    program = shutil.which("google-chrome") or shutil.which("chromium")
    with (
        TemporaryDirectory() as name,
        running(Postgres) as postgres,
        running(Redis) as redis,
        website() as billing,
        sync_playwright() as playwright,
        ExitStack() as stack,
    ):
        folder = Path(name)
        project = Project({}, folder)
        environment = {
            **variables(postgres, redis),
            "EXTERNAL_SERVICES": f"billing={billing.url}",
            "RELEASE": "1.4.2",
        }
        for command in (["migrate"], ["collectstatic", "--no-input"]):
            project.manage(*command, variables=environment)
        bearer = token(project, environment)
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = browser.new_page(viewport=PAGE)
        with project.serve(environment) as server:
            with redis.stopped():
                for shown, (path, part) in PAGES.items():
                    take_page(page, shown, f"http://127.0.0.1:{server.port}{path}", part)
            prometheus = Prometheus(folder, server.port)
            stack.callback(prometheus.stop)
            with clients(server, bearer):
                until(lambda: prometheus.ask("query", query="dependency_up"), 60, "a first answer")
                begin = time.time()
                time.sleep(SPAN * 0.4)
                with redis.stopped():
                    time.sleep(SPAN * 0.1)
                time.sleep(SPAN * 0.2)
                with postgres.stopped():
                    time.sleep(SPAN * 0.05)
                time.sleep(SPAN * 0.25)
                dashboard = observe(prometheus, project, begin)
        take_dashboard(page, dashboard, folder)
        browser.close()
    for path in sorted(PICTURES.glob("*.png")):
        sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
