"""HTTP as uvicorn speaks it, to clients that cannot keep a connection by being slow."""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# How long a client may take to send the headers of a request, in seconds, and its body.
HEADERS = 10
BODY = 20
# How long an answer may wait for it to read on, with all that the request has in use.
ANSWER = 30
# A process may have 1,024 files open, if nobody says otherwise.
CONNECTIONS = 800

# Those that have sent no whole request yet, the oldest first.
waiting: dict["Protocol", None] = {}


class Protocol(HttpToolsProtocol):
    """A connection that ends if a request is not complete in time, or there are too many."""

    timer: TimerHandle | None = None
    unread: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first request, instead of the one that was waited for the longest."""
        super().connection_made(transport)
        waiting[self] = None
        self.wait(HEADERS)
        if len(self.connections) > CONNECTIONS:
            next(iter(waiting)).cut_off()

    def on_message_begin(self) -> None:
        """Wait for the headers."""
        super().on_message_begin()
        self.wait(HEADERS)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        super().on_headers_complete()
        self.wait(BODY)

    def on_message_complete(self) -> None:
        """Wait no more."""
        super().on_message_complete()
        waiting.pop(self, None)
        self.wait(None)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self.unread = self.loop.call_later(ANSWER, self.cut_off)

    def resume_writing(self) -> None:
        """Wait no more for that."""
        super().resume_writing()
        self.read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        waiting.pop(self, None)
        self.wait(None)
        self.read_on()

    def wait(self, seconds: float | None) -> None:
        """Cut the client off after some time, unless this is called again before."""
        if self.timer:
            self.timer.cancel()
        self.timer = None if seconds is None else self.loop.call_later(seconds, self.cut_off)

    def read_on(self) -> None:
        """Leave a client alone that reads its answer."""
        if self.unread:
            self.unread.cancel()
        self.unread = None

    def cut_off(self) -> None:
        """End the connection, whatever is still to be sent."""
        waiting.pop(self, None)
        self.transport.abort()
