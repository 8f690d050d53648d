"""What measures a running server: its processes from outside, its answers as a client."""

import json
import os
import re
import selectors
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.project import HOST, Server
from tests.services import Postgres, find

# What a proxy in front of the server sends along.
HEADERS = {"Host": HOST, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
TICKS = os.sysconf("SC_CLK_TCK")
REPORT = Path(__file__).with_name("report.lua")
BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
)
# How many connections a client at a constant rate spreads its requests over.
CONNECTIONS = 64


class Load(NamedTuple):
    """What steady clients saw and what it cost: microseconds, requests a second, milliseconds."""

    cpu: float
    rate: float
    p50: float
    p99: float
    failed: int


class Process(NamedTuple):
    """A process: its number, its parent's, and the seconds that it and ended children took."""

    pid: int
    parent: int
    seconds: float


def processes(session: int) -> list[Process]:
    """Return the processes of a session, which a server and its workers have for themselves."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                seconds = sum(map(int, fields[11:15])) / TICKS
                found.append(Process(int(stat.parent.name), int(fields[1]), seconds))
    return found


def cpu(session: int) -> float:
    """Return the processor time, user and system, of all processes of a session in seconds."""
    return sum(process.seconds for process in processes(session))


def stolen() -> tuple[float, float]:
    """Return the seconds in which other virtual machines had the processors, and all seconds.

    Both are sums over the processors: https://docs.kernel.org/filesystems/proc.html
    """
    _, *ticks = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user_to_steal = [int(each) / TICKS for each in ticks[:8]]
    return user_to_steal[-1], sum(user_to_steal)


def memory(session: int) -> tuple[float, float]:
    """Return the proportional set size of a worker and of all processes, in megabytes."""
    found = processes(session)
    parents = {process.parent for process in found}
    sizes = {process.pid: proportional(process.pid) for process in found}
    workers = [size for pid, size in sizes.items() if pid not in parents]
    return sum(workers) / len(workers), sum(sizes.values())


def proportional(pid: int) -> float:
    """Return the proportional set size of a process in megabytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kilobytes) / 1000


def load(server: Server, path: str, clients: int, http: str, headers: Mapping[str, str]) -> Load:
    """Return what clients saw in a second that ask again as soon as they are answered."""
    given = [f"--header={name}: {value}" for name, value in {**HEADERS, **headers}.items()]
    before = cpu(server.pid)
    done = subprocess.run(
        [
            *(find("wrk", "wrk"), "--threads", "1", "--connections", str(clients)),
            *("--duration", "1s", "--timeout", "10s", "--script", str(REPORT), *given),
            *(f"http://127.0.0.1:{server.port}{path}", "--", http),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    spent = cpu(server.pid) - before
    seen = json.loads(done.stdout.splitlines()[-1])
    requests = max(seen["requests"], 1)
    return Load(
        cpu=spent / requests * 1e6,
        rate=seen["requests"] / seen["seconds"],
        p50=seen["p50"],
        p99=seen["p99"],
        # In HTTP/1.0 an answer may end with its connection, which is no failure.
        failed=seen["failed"] + (seen["cut"] if http == "1.1" else 0),
    )


class Client:
    """A connection that is opened again when the server has closed it."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], http: str = "1.1") -> None:
        self.port = port
        lines = [f"{name}: {value}" for name, value in {**HEADERS, **headers}.items()]
        self.request = "\r\n".join([f"GET {path} HTTP/{http}", *lines, "", ""]).encode()
        self.socket: socket.socket | None = None

    def get(self) -> int:
        """Return the status of an answer, or 0 if there is none."""
        for _ in range(2):
            with suppress(OSError):
                self.ask()
                return self.answer()
            self.close()
        return 0

    def finish(self) -> int:
        """Return the status of what was asked, or ask again if the server had closed."""
        with suppress(OSError):
            return self.answer()
        self.close()
        return self.get()

    def ask(self) -> socket.socket:
        """Send the request, and return the socket on which the answer arrives."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
        self.socket.sendall(self.request)
        return self.socket

    def answer(self) -> int:
        """Return the status of the answer, read to its end."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += self.receive()
        if head.startswith(b"HTTP/1.0") or b"\nconnection: close" in head.lower():
            self.close()
        return int(head.split(maxsplit=2)[1])

    def receive(self) -> bytes:
        """Return what has arrived."""
        assert self.socket
        if not (received := self.socket.recv(65536)):
            raise ConnectionResetError
        return received

    def close(self) -> None:
        """Close the connection."""
        if self.socket:
            self.socket.close()
            self.socket = None


def first_answer(server: Server, path: str) -> tuple[float, float]:
    """Return the seconds, and those of the processor, until a server that starts has answered."""
    began = time.perf_counter()
    with closing(Client(server.port, path, {})) as client:
        while client.get() != 200:
            assert server.running, server.output[-3000:]
            assert time.perf_counter() - began < 60, server.output[-3000:]
            time.sleep(0.005)
    return time.perf_counter() - began, cpu(server.pid)


def most(port: int, path: str, count: int, http: str = "1.1") -> float:
    """Return how many requests a second are answered to clients that ask again at once."""
    began = time.perf_counter()
    steady(port, path, float("inf"), count, http)
    return count / (time.perf_counter() - began)


def steady(port: int, path: str, rate: float, count: int, http: str = "1.1") -> list[float]:
    """Return how long each request took that was sent at a constant rate, in milliseconds.

    Time runs from when a request was due, not from when a connection was free to send it:
    one that waited behind others has taken that long for whoever needed the answer. A
    request that failed has taken for ever.
    """
    took = [float("inf")] * count
    idle = deque(Client(port, path, {}, http) for _ in range(CONNECTIONS))
    number = 0
    began = time.perf_counter()
    with selectors.DefaultSelector() as busy:
        while number < len(took) or busy.get_map():
            wait: float | None = None
            if number < len(took) and idle:
                wait = began + number / rate - time.perf_counter()
                if wait <= 0:
                    client = idle.popleft()
                    busy.register(client.ask(), selectors.EVENT_READ, (client, number))
                    number += 1
            for key, _ in busy.select(wait):
                client, answered = key.data
                busy.unregister(key.fileobj)
                if client.finish() == 200:
                    took[answered] = (time.perf_counter() - began - answered / rate) * 1000
                idle.append(client)
    for client in idle:
        client.close()
    return took


@contextmanager
def connections(postgres: Postgres, database: str) -> Iterator[list[int]]:
    """Yield how many connections a database has, counted again and again meanwhile."""
    seen: list[int] = []
    done = threading.Event()

    def count() -> None:
        with postgres.connect() as connection:
            while not done.wait(0.02):
                (row,) = connection.execute(BACKENDS, [database]).fetchall()
                seen.append(row[0])

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
