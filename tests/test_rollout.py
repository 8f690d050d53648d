"""What a new version costs those who use the service meanwhile: nothing."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import Projects
from tests.project import HOST, PRODUCTION, Project, Server
from tests.services import Postgres, Service, find, folder, free_port, until
from tests.test_servers import children
from tools.render import options

pytestmark = [pytest.mark.slow, pytest.mark.timed]

SERVERS = options()["server"]
RESTARTS = 10
# How long the proxy goes on sending requests to a replica that leaves, in seconds.
LATE = 1

CONFIGURATION = """
daemon off;
worker_processes 1;
error_log stderr;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream service {{
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://service;
            proxy_next_upstream {again};
            proxy_set_header Host {host};
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


class Proxy(Service):
    """An nginx in front of replicas."""

    def __init__(self, folder: Path, again: str, ports: list[int]) -> None:
        super().__init__(folder)
        self.again = again
        self.write(ports)

    def write(self, ports: list[int]) -> None:
        """Write which replicas there are."""
        (self.folder / "nginx.conf").write_text(
            CONFIGURATION.format(
                again=self.again,
                folder=self.folder,
                host=HOST,
                port=self.port,
                servers=" ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports),
            )
        )

    def learn(self, ports: list[int]) -> None:
        """Send new requests to these replicas only, and return once all are sent there."""
        assert self.process
        self.write(ports)
        before = set(children(self.process.pid))
        self.process.send(signal.SIGHUP)
        pid = self.process.pid
        until(lambda: not before & set(children(pid)), 40, "the end of nginx's former processes")

    @property
    def log(self) -> str:
        """Return what went wrong between it and the replicas."""
        return (self.folder / "log").read_text()

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = find("nginx", "nginx-light", folders=("/usr/sbin",))
        return [program, "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def answers(self) -> bool:
        """Return whether it serves."""
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/health", timeout=30).ok
        except requests.RequestException:
            return False


class Load:
    """Clients that ask steadily, and count the answers."""

    def __init__(self, proxy: Proxy, methods: tuple[str, ...]) -> None:
        self.address = f"http://127.0.0.1:{proxy.port}/trial/slow?seconds=0.05"
        self.methods = methods
        self.statuses: Counter[int] = Counter()
        self.done = threading.Event()

    @property
    def failed(self) -> int:
        """Return how many requests were not answered as they should be."""
        return self.statuses.total() - self.statuses[200]

    def ask(self, method: str) -> None:
        """Ask until told to stop."""
        while not self.done.wait(0.02):
            try:
                status = requests.request(method, self.address, timeout=30).status_code
            except requests.RequestException:
                status = 0
            self.statuses[status] += 1

    @contextmanager
    def run(self) -> Iterator[None]:
        """Ask meanwhile."""
        threads = [threading.Thread(target=self.ask, args=[method]) for method in self.methods * 2]
        for thread in threads:
            thread.start()
        try:
            time.sleep(1)
            yield
            time.sleep(1)
        finally:
            self.done.set()
            for thread in threads:
                thread.join()


class Replicas:
    """Two of a service, and a proxy in front of them."""

    def __init__(self, project: Project, variables: dict[str, str], proxy: Proxy) -> None:
        self.project = project
        self.variables = variables
        self.proxy = proxy
        self.running: dict[int, Server] = {}

    def start(self, port: int) -> None:
        """Start a replica at a port, and return once it serves."""
        server = self.project.start({**self.variables, "PORT": str(port)})
        server.port = port
        self.running[port] = server
        until(server.serves, 120, "the start of a replica")

    def end(self, port: int) -> None:
        """Tell a replica to stop, and return once it has."""
        server = self.running.pop(port)
        server.send(signal.SIGTERM)
        server.wait(40)


@pytest.fixture
def variables(postgres: Postgres) -> dict[str, str]:
    """Return what a service needs in production."""
    return {
        **PRODUCTION,
        "DATABASE_URL": postgres.database(),
        "DJANGO_SETTINGS_MODULE": "trial_settings",
        "WEB_CONCURRENCY": "1",
    }


@contextmanager
def replicas(project: Project, variables: dict[str, str], again: str) -> Iterator[Replicas]:
    """Yield two replicas behind a proxy, and stop all that is left of them."""
    ports = [free_port(), free_port()]
    with folder("nobody") as path:
        both = Replicas(project, variables, Proxy(path, again, ports))
        try:
            for port in ports:
                both.start(port)
            both.proxy.start()
            yield both
        finally:
            both.proxy.stop()
            for server in both.running.values():
                server.stop()


@pytest.mark.parametrize("name", SERVERS)
def test_a_rolling_restart_loses_no_request(
    name: str, projects: Projects, variables: dict[str, str]
) -> None:
    """Ten restarts under load fail no request that a proxy may repeat, with any server (H9)."""
    project = projects(server=name, use_redis=False)

    with replicas(project, variables, "error timeout") as both:
        load = Load(both.proxy, ("GET", "GET"))
        with load.run():
            for port in list(both.running) * (RESTARTS // 2):
                both.end(port)
                both.start(port)
                # What it still refused has been sent to the other one, and ends there.
                time.sleep(0.5)
        log = both.proxy.log

    assert load.failed == 0, f"{load.statuses}\n{log}"
    assert load.statuses[200] > 20 * RESTARTS


@pytest.mark.parametrize("name", SERVERS)
def test_a_pause_before_the_end_loses_nothing(
    name: str, projects: Projects, variables: dict[str, str]
) -> None:
    """Where the proxy learns late, only a replica that serves on meanwhile loses nothing (D6)."""
    project = projects(server=name, use_redis=False)
    failed = {}

    with replicas(project, variables, "off") as both:
        for pausing in (True, False):
            load = Load(both.proxy, ("GET", "POST"))
            with load.run():
                old, stays = both.running
                new = free_port()
                both.start(new)
                both.proxy.learn([old, stays, new])
                if not pausing:
                    both.end(old)
                time.sleep(LATE)
                both.proxy.learn([stays, new])
                if pausing:
                    both.end(old)
            failed[pausing] = load.failed

    assert failed[True] == 0
    assert failed[False] > 0
