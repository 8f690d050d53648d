"""What each fault does to a service: tests hold services to it, and README shows it.

``python -m tests.faults.table`` writes it there.
"""

from dataclasses import dataclass

from tools.render import ROOT

README = ROOT / "README.md"
BEGIN = "<!-- Written by python -m tests.faults.table -->\n"
END = "<!-- Up to here -->\n"
# What clients see, in words; 0 stands for a connection that ends without an answer.
WORDS = {0: "no answer", 200: "200", 201: "201", 400: "400", 401: "401", 500: "500", 503: "503"}


@dataclass(frozen=True)
class Fault:
    """What clients see of a fault, what the log says, and how soon all is well again.

    Of the statuses the first is seen, and the others may be; of the lines there is one. Times
    are in seconds.
    """

    name: str
    statuses: tuple[int, ...]
    slowest: float
    log: tuple[str, ...]
    recovery: float

    @property
    def row(self) -> str:
        """Return its row in Markdown."""
        first, *others = (WORDS[status] for status in self.statuses)
        seen = f"{first} within {self.slowest:g} s"
        if others:
            seen += f"; some {' or '.join(others)}"
        again = f"within {self.recovery:g} s" if self.recovery else "at once"
        lines = " or ".join(f"`{line}`" for line in self.log)
        return f"| {self.name} | {seen} | {lines} | {again} |"

    def is_logged(self, output: str) -> bool:
        """Return whether a line tells of it, if there ought to be one."""
        return not self.log or any(line in output for line in self.log)


DOWN = ("The database does not serve",)
OFF = ("The cache is off",)
FAULTS = (
    Fault("PostgreSQL is stopped", (503, 200), 3, DOWN, 2),
    Fault("PostgreSQL is restarted", (503, 200), 3, DOWN, 2),
    Fault("PostgreSQL hangs for five seconds", (200, 503), 7, (), 2),
    Fault("Packets to PostgreSQL are lost", (503, 200), 15, DOWN, 5),
    Fault("PostgreSQL has no connection left", (503, 200), 3, DOWN, 2),
    Fault("PostgreSQL is read-only, for writing", (503,), 1, DOWN, 1),
    Fault("A table is locked", (500, 200), 6, ("canceling statement due to lock timeout",), 1),
    Fault(
        "A statement is slow",
        (500, 200),
        11,
        ("canceling statement due to statement timeout",),
        3,
    ),
    Fault("Redis is stopped", (200,), 1, OFF, 1),
    Fault("Redis hangs", (200,), 1, OFF, 2),
    Fault("Packets to Redis are lost", (200,), 1, OFF, 2),
    Fault("Redis is full", (200,), 1, ("Redis refuses what the cache asks of it",), 1),
    Fault("Redis has another password", (200,), 1, OFF, 2),
    Fault("RabbitMQ is stopped, and started again", (201,), 5, ("in on_commit()",), 5),
    Fault("RabbitMQ hangs", (201,), 8, ("in on_commit()",), 5),
    Fault("RabbitMQ is full", (201,), 8, ("in on_commit()",), 5),
    Fault(
        "The disk for temporary files is full, for large uploads",
        (500,),
        2,
        ("No space left on device",),
        1,
    ),
    Fault("A worker is killed with -9", (200, 0), 2, ("was sent SIGKILL",), 3),
    Fault("A request hangs", (0,), 60, ("A request hangs", "WORKER TIMEOUT"), 0),
    Fault("Tokens come from a replica whose clock is five minutes off", (200,), 1, (), 0),
    Fault("200 clients send headers slowly", (200,), 2, (), 0),
    Fault("200 clients send bodies slowly, behind nginx", (200,), 2, (), 0),
    Fault("10,000 connections are idle", (200,), 3, (), 0),
    Fault("Clients send what is malformed or too large", (200,), 2, (), 0),
)


def find(name: str) -> Fault:
    """Return a fault."""
    (found,) = (fault for fault in FAULTS if fault.name == name)
    return found


def table() -> str:
    """Return the table in Markdown."""
    head = [
        "| Fault | Requests that meet it | In the log | All is well again |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(fault.row for fault in FAULTS), ""])


def main() -> None:
    """Write the table into README."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{table()}{END}{after}")


if __name__ == "__main__":
    main()
