"""Real servers that tests start for themselves, each on a free port in a folder of its own."""

import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import psycopg
import pytest
import redis
import requests

from tools.render import ROOT

# Ports that no connection takes by itself; each process of the tests has a thousand of its own.
FIRST = 11_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = cycle(random.sample(range(FIRST, FIRST + 1_000), 1_000))


def missing(what: str) -> None:
    """Skip a test that lacks a tool; with CI=true that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"Missing: {what}")
    pytest.skip(f"Missing: {what}")


def find(program: str, package: str, *, folders: tuple[str, ...] = ()) -> str:
    """Return the path of a program, or skip with what to install."""
    found = shutil.which(program, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    if not found:
        missing(f"{program}: install {package}")
    return str(found)


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on, a different one each time."""
    for port in PORTS:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError


@dataclass(frozen=True)
class Standstills:
    """When this machine stood still: a thread that is to wake every 20 ms did not."""

    gaps: list[tuple[float, float]] = field(default_factory=list)

    def within(self, began: float, ended: float) -> float:
        """Return how much of a time was lost to them, in seconds."""
        overlaps = (min(ended, end) - max(began, start) for start, end in list(self.gaps))
        return sum(max(0, overlap) for overlap in overlaps)


@contextmanager
def standstills() -> Iterator[Standstills]:
    """Watch for them meanwhile."""
    found, done = Standstills(), threading.Event()

    def watch() -> None:
        last = time.monotonic()
        while not done.wait(0.02):
            now = time.monotonic()
            if now - last > 0.2:
                found.gaps.append((last, now))
            last = now

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def until[T](condition: Callable[[], T], seconds: float, what: str) -> T:
    """Return what a condition returns once it is true, or fail when time is up."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)
    return result


def descendants(pid: int) -> list[int]:
    """Return a process and those that it has started, and so on."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in descendants(int(child)))]


class Process:
    """A program whose standard output and standard error go to one file."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        *,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [*prefix, *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the number of the process that was started."""
        return self.popen.pid

    @property
    def output(self) -> str:
        """Return what it and its children have printed."""
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Return whether it has not ended yet."""
        return self.popen.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the process, and not to its children."""
        self.popen.send_signal(number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it do nothing for a while, nor what it has started."""
        family = descendants(self.pid)
        for member in family:
            os.kill(member, signal.SIGSTOP)
        try:
            yield
        finally:
            for member in family:
                with suppress(ProcessLookupError):
                    os.kill(member, signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """Return the exit status."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"Still running after {seconds:g} s:\n{self.output[-3000:]}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> None:
        """End the process, and whatever it has left behind in its session."""
        if self.running:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@contextmanager
def folder(owner: str = "") -> Iterator[Path]:
    """Yield a new folder, given to a user if this process may do that."""
    path = Path(tempfile.mkdtemp(prefix="service-"))
    path.chmod(0o755)
    try:
        if owner and os.geteuid() == 0:
            shutil.chown(path, owner)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def unprivileged() -> tuple[str, ...]:
    """Return what to put before a command that refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    setpriv = find("setpriv", "util-linux")
    return (setpriv, "--reuid=nobody", "--regid=nogroup", "--clear-groups")


class Service:
    """A server that can be stopped, frozen and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: Process | None = None

    def command(self) -> list[str]:
        """Return the command that starts it."""
        raise NotImplementedError

    def prefix(self) -> tuple[str, ...]:
        """Return what stands before the command."""
        return unprivileged()

    def answers(self) -> bool:
        """Return whether it serves."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and return once it serves."""
        process = Process(
            self.command(),
            self.folder,
            {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            self.folder / "log",
            prefix=self.prefix(),
        )
        self.process = process

        def ready() -> bool:
            assert process.running, process.output
            return self.answers()

        until(ready, 60, f"the start of {type(self).__name__}")

    def stop(self) -> None:
        """Stop it: its port refuses connections."""
        if self.process:
            self.process.stop(signal.SIGINT)
            self.process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Be without it for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept connections and answer none for a while."""
        assert self.process
        with self.process.frozen():
            yield


class Postgres(Service):
    """PostgreSQL with an own cluster; nothing is written to disk for good."""

    password = "pass#word/with?all@of:it%"
    user = "service"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.made = 0
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        self.folders = tuple(map(str, programs))
        (folder / "password").write_text(self.password)
        (folder / "password").chmod(0o644)
        subprocess.run(
            [
                *unprivileged(),
                find("initdb", "postgresql", folders=self.folders),
                *("--pgdata", str(folder / "data"), "--username", self.user, "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", str(folder / "password")),
                *("--encoding", "UTF8", "--locale", "C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )

    def command(self) -> list[str]:
        """Return the command that starts it."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "60",
        }
        return [
            find("postgres", "postgresql", folders=self.folders),
            *("-D", str(self.folder / "data")),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Return a connection that commits every statement."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            connect_timeout=30,
            autocommit=True,
        )

    def answers(self) -> bool:
        """Return whether it serves."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def query(self, sql: str, *values: Any, database: str = "postgres") -> list[Any]:
        """Return the rows that a query finds."""
        with self.connect(database) as connection:
            return connection.execute(sql, values).fetchall()  # type: ignore[call-overload]

    def database(self) -> str:
        """Create an empty database and return its URL."""
        self.made += 1
        name = f"service_{self.made}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database, its password percent-encoded."""
        password = quote(self.password, safe="")
        return f"postgres://{self.user}:{password}@127.0.0.1:{self.port}/{name}"


class Redis(Service):
    """Redis that keeps nothing on disk."""

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = find("redis-server", "redis-server")
        return [
            *(program, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.folder)),
        ]

    def answers(self) -> bool:
        """Return whether it serves."""
        with redis.Redis.from_url(self.url(), socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def url(self, database: int = 0) -> str:
        """Return the URL of a database."""
        return f"redis://127.0.0.1:{self.port}/{database}"


class RabbitMQ(Service):
    """RabbitMQ with a node and a port mapper of its own."""

    folders = ("/usr/lib/rabbitmq/bin", "/usr/sbin")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = {
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"service-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
            "HOME": str(folder),
        }
        self.variables = [f"{name}={value}" for name, value in settings.items()]

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = find("rabbitmq-server", "rabbitmq-server", folders=self.folders)
        # The port mapper would outlive the node, unless it is there before.
        return ["env", *self.variables, "sh", "-c", f"epmd & exec {program}"]

    def control(self, *arguments: str) -> None:
        """Tell the node something."""
        program = find("rabbitmqctl", "rabbitmq-server", folders=self.folders)
        command = [*self.prefix(), "env", *self.variables, program, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=60)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Raise the alarm for memory for a while, in which it takes no message."""
        self.control("set_vm_memory_high_watermark", "0")
        try:
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.4")

    def answers(self) -> bool:
        """Return whether it serves: a client that speaks nonsense is told the protocol."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as client:
            client.settimeout(2)
            client.sendall(b"HELLO\r\n\r\n")
            return client.recv(4) == b"AMQP"
        return False

    def stop(self) -> None:
        """Stop it: its port refuses connections."""
        if self.process:
            self.process.stop(signal.SIGTERM, seconds=20)
            self.process = None

    def url(self) -> str:
        """Return its URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"


class S3(Service):
    """moto's server, which speaks S3 as Amazon does."""

    host = "127.0.0.1"

    def command(self) -> list[str]:
        """Return the command that starts it."""
        folders = (str(ROOT / ".linters" / "bin"),)
        program = find("moto_server", "the linters: make linters", folders=folders)
        return [program, "--host", self.host, "--port", str(self.port)]

    def prefix(self) -> tuple[str, ...]:
        """Return nothing: Python may be where only its owner looks."""
        return ()

    def answers(self) -> bool:
        """Return whether it serves."""
        with suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False

    def url(self) -> str:
        """Return its URL."""
        return f"http://{self.host}:{self.port}"

    def create_bucket(self, name: str) -> None:
        """Create a bucket that everybody may read."""
        client = boto3.client(
            "s3",
            endpoint_url=self.url(),
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        client.create_bucket(Bucket=name, ACL="public-read")


@contextmanager
def running[T: Service](kind: type[T]) -> Iterator[T]:
    """Yield a server that was started for this, and stop it."""
    with folder("nobody") as path:
        service = kind(path)
        service.start()
        try:
            yield service
        finally:
            service.stop()


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port where packets vanish: the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def mute() -> Iterator[int]:
    """Yield a port that accepts every connection and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener.getsockname()[1]


class Website:
    """An HTTP server whose status a test sets, and that remembers who called."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[str] = []
        website = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                website.requests.append(self.path)
                self.send_response(website.status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def website() -> Iterator[Website]:
    """Yield an HTTP server."""
    site = Website()
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join()


class Prometheus(Process):
    """A Prometheus that scrapes a service every second."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        source = folder / "deploy/prometheus"
        text = (source / "prometheus.yaml").read_text()
        text = text.replace("web:8000", f"127.0.0.1:{target}").replace("15s", "1s")
        (source / "trial.yaml").write_text(text)
        arguments = [
            "--config.file=trial.yaml",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        program = find("prometheus", "prometheus")
        super().__init__([program, *arguments], source, os.environ, folder / "prometheus.log")

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what the API answers, or nothing while it starts."""
        assert self.running, self.output
        try:
            answer = requests.get(
                f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters, timeout=30
            )
        except (requests.ConnectionError, requests.Timeout):
            return None
        return answer.json().get("data") if answer.status_code == 200 else None
