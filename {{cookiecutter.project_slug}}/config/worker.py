"""gunicorn's worker with threads, which clients cannot keep busy by being slow."""

import os
import selectors
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.exceptions import BadRequest
from gunicorn.glogging import Logger
from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import ThreadWorker

# How long a client may take to send the headers of a request, in seconds, and all of it.
HEADERS = 10
REQUEST = 20
# How long a process that stops waits for clients that have sent nothing yet, in seconds.
STOPPING = 2
# How long others have to accept a connection first, in seconds.
YIELDING = 0.001
# Headers that are longer go to a thread, which refuses them.
LONGEST = 65_536


class QuietLogger(Logger):
    """Logs what becomes of the processes; of each request, RequestMiddleware tells."""

    def access(self, *arguments: Any) -> None:
        """Do nothing unless --access-logfile is given: this takes a tenth of a light request."""
        if self.cfg.accesslog:
            super().access(*arguments)


class Worker(ThreadWorker):
    """Threads that serve requests; when one hangs, the process stops and is replaced.

    A request takes a thread once its headers are there. Until then its connection costs
    nothing but memory, and is the first to go when there are too many.
    """

    def init_process(self) -> None:
        """Start serving; until then no request can have begun."""
        self.began: dict[Any, tuple[float, int]] = {}
        self.late: dict[Any, float] = {}
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Accept a connection, and close the one that has said nothing for longest if need be.

        A process that has one for each thread lets others be faster: whoever is awake would
        take all, and keep them. In a flood that would only make the queue longer.
        """
        if 1 <= self.nr_conns / self.cfg.threads <= 16:
            time.sleep(YIELDING)
        super().accept(listener)
        if self.nr_conns >= self.worker_connections and self.pending_conns:
            self.pending_conns[0].timeout = 0
            self.murder_pending()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread if a request is there, and wait for that otherwise."""
        if self.cfg.is_ssl or has_headers(conn):
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + HEADERS
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """Read what has come, and stop waiting once that is enough."""
        if self.cfg.is_ssl or has_headers(conn):
            super().on_pending_socket_readable(conn, client)

    def handle(self, conn: Any) -> Any:
        """Serve a request and remember since when, and in which thread."""
        self.began[conn] = time.monotonic(), threading.get_ident()
        try:
            return super().handle(conn)
        finally:
            del self.began[conn]
            self.late.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request, whose body is refused if it ends before its length."""
        reader = req.body.reader
        if isinstance(reader, LengthReader) and reader.length:
            req.body.reader = WholeReader(reader.unreader, reader.length)
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Refuse a request, but for one that was answered before its body has ended early."""
        if not isinstance(exc, BadRequest):
            super().handle_error(req, client, addr, exc)

    def notify(self) -> None:
        """Tell gunicorn that this process is alive, cut off who is late, drain it if that hangs."""
        super().notify()
        now = time.monotonic()
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, now + STOPPING)
        for conn, (began, thread) in list(self.began.items()):
            seconds = now - began
            if seconds > REQUEST:
                # Whoever still waits for the client finds that it sends no more.
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)
            if seconds > self.cfg.timeout and conn not in self.late:
                self.late[conn] = now
                message = "A request takes over %s s, and was cut off. It waits here:\n%s"
                self.log.warning(message, self.cfg.timeout, stack(thread))
                # Nor does it read any more.
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)
            if self.alive and now - self.late.get(conn, now) > STOPPING:
                message = "A request hangs for over %s s: replacing worker. It waits here:\n%s"
                self.log.critical(message, self.cfg.timeout, stack(thread))
                self.alive: bool = False

    def run(self) -> None:
        """Serve until told to stop, and leave without waiting for a request that hangs."""
        super().run()
        if self.began:
            os._exit(1)


def stack(thread: int) -> str:
    """Return where a thread is, as a traceback shows it."""
    return "".join(traceback.format_stack(sys._current_frames().get(thread)))


class WholeReader(LengthReader):
    """Reads a body, which may not be shorter than its client has said."""

    def read(self, size: int) -> bytes:
        """Return a part of the body; raise BadRequest if the client is gone before its end."""
        expected = min(size, self.length)
        with suppress(ConnectionError):
            data: bytes = super().read(size)
            if len(data) == expected:
                return data
        raise BadRequest("The body ended early")


def has_headers(conn: Any) -> bool:
    """Read what has come, without waiting, and return whether a thread can go on with it."""
    conn.init()
    try:
        data = conn.sock.recv(LONGEST, socket.MSG_DONTWAIT)
    except BlockingIOError:
        data = None
    except OSError:
        data = b""
    buffer = conn.parser.unreader.buf
    buffer.seek(0, os.SEEK_END)
    buffer.write(data or b"")
    received = buffer.getvalue()
    return data == b"" or b"\r\n\r\n" in received or len(received) >= LONGEST
