"""Pages for people work in a real browser, in production mode, under their real policy."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import Projects
from tests.project import PRODUCTION, Server
from tests.services import Postgres, Redis, find

pytestmark = pytest.mark.slow

PASSWORD = "a long password"
ADD_ADMIN = (
    f"from apps.users.models import *;User.objects.create_superuser('admin', password='{PASSWORD}')"
)
# Chromium would otherwise call its maker.
SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


@dataclass
class Visit:
    """A page, and what its browser had to complain of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note errors and warnings in the console, and what could not be loaded."""

        def console(message: Any) -> None:
            place, text = message.location["url"], message.text
            # That the page itself has a status of 404 or 500 is no surprise.
            expected = place == self.page.url and text.startswith("Failed to load resource: ")
            if message.type in {"error", "warning"} and not expected:
                self.complaints.append(f"{place}: {text}")

        def response(response: Any) -> None:
            if response.status >= 400 and not response.request.is_navigation_request():
                self.complaints.append(f"{response.status}: {response.url}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("response", response)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    program = shutil.which("google-chrome") or find("chromium", "chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=program, args=SWITCHES, chromium_sandbox=False
        )


@pytest.fixture(scope="module", params=["ninja", "drf"])
def server(
    request: pytest.FixtureRequest, projects: Projects, postgres: Postgres, redis: Redis
) -> Iterator[Server]:
    """Run a service with each API that an administrator can log in to."""
    project = projects(api=request.param)
    variables = {
        **PRODUCTION,
        "ALLOWED_HOSTS": "localhost,example.com",
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "REDIS_URL": redis.url(),
        "SECURE_SSL_REDIRECT": "false",
    }
    project.manage("migrate", "--verbosity", "0", variables=variables)
    project.manage("collectstatic", "--no-input", "--verbosity", "0", variables=variables)
    project.manage("shell", "--command", ADD_ADMIN, variables=variables)
    with project.serve(variables) as server:
        yield server


@contextmanager
def visiting(browser: Browser, server: Server) -> Iterator[Visit]:
    """Yield a page of a browser that knows nobody, and expect no complaint."""
    context = browser.new_context(base_url=f"http://localhost:{server.port}")
    visit = Visit(context.new_page())
    visit.watch()
    try:
        yield visit
    finally:
        context.close()
    assert visit.complaints == []


def log_in(page: Page) -> None:
    """Log in as the administrator."""
    page.goto("/admin/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_selector("#user-tools")
    # Whoever leaves before makes a file fail that is still on its way.
    page.wait_for_load_state("networkidle")


def test_pages_work_under_their_policy(browser: Browser, server: Server) -> None:
    """Docs, admin, health and error pages load all they name, without an error (U3, S2)."""
    with visiting(browser, server) as visit:
        page = visit.page

        page.goto("/api/v1/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock").count() >= 7

        page.goto("/health")
        assert page.locator("h1").inner_text().endswith("ok")
        assert page.locator("tbody tr").count() == 2

        for path, status in (("/nowhere", 404), ("/trial/statement?sql=nonsense", 500)):
            response = page.goto(path)
            assert response
            assert response.status == status
            assert page.locator("h1").count() == 1
            # Where the policy forbids the style, it is 16 pixels.
            assert page.evaluate("parseFloat(getComputedStyle(document.body).marginTop)") > 50

        log_in(page)
        page.goto("/admin/notes/note/add/")
        page.fill("[name=title]", "A note")
        page.locator(".select2-selection").click()
        page.locator(".select2-results__option", has_text="admin").click()
        page.click("[name=_save]")
        page.wait_for_selector("#result_list tbody tr")


def test_docs_page_calls_the_api_with_a_session(browser: Browser, server: Server) -> None:
    """Who is logged in can try the API on its docs page, forms protected and all (U3)."""
    with visiting(browser, server) as visit:
        page = visit.page
        log_in(page)

        page.goto("/api/v1/docs")
        block = page.locator(".opblock-post").first
        block.locator(".opblock-summary").click()
        block.locator(".try-out__btn").click()
        block.locator("textarea").fill('{"title": "Tried out"}')
        block.locator(".execute").click()

        live = block.locator(".live-responses-table .response-col_status")
        live.first.wait_for()
        assert live.nth(1).inner_text().startswith("201")
