"""A result as tables, for the terminal and for README.md."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from rich.table import Table as RichTable

from bench.limits import judge, ratio

NAMES = {
    "light": "lightest call",
    "query": "one query",
    "token": "with a token",
    "health": "`/health`",
    "lbheartbeat": "`/__lbheartbeat__`",
}


class Table(NamedTuple):
    """Rows under headings; the first column is text, the others hold numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        marks = ["---", *("---:" for _ in self.headings[1:])]
        lines = [" | ".join(row) for row in (self.headings, marks, *self.rows)]
        return f"{self.title}:\n\n" + "\n".join(f"| {line} |" for line in lines)

    def rich(self) -> RichTable:
        """Return the table for a terminal."""
        table = RichTable(title=self.title, title_justify="left")
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*(cell.replace("`", "") for cell in row))
        return table


def tables(result: dict[str, Any]) -> Iterator[Table]:
    """Yield all tables of a result."""
    for server, subjects in result["servers"].items():
        yield costs(server, subjects)
        yield answers(server, subjects)
    yield database(result)
    if "features" in result:
        yield features(result["features"])
        yield middleware(result["middleware"])
    yield limits(result)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median of measurements, and the least and the most of them."""
    middle, least, most = (f"{f(values):.{digits}f}" for f in (median, min, max))
    return f"{middle} ({least} to {most})"


def costs(server: str, subjects: dict[str, Any]) -> Table:
    """Return what each project costs under a server, as a multiple of the bare one, too."""
    headings = ["", "bare"]
    for name in list(subjects)[1:]:
        headings += [name, "times bare"]
    kinds = {
        "start to first answer, s": ("start", 2),
        "processor time of the start, s": ("start_cpu", 2),
        "memory of a worker, MB": ("worker", 1),
        "memory of all processes, MB": ("whole", 1),
    }
    rows = [
        [title, *compared([found[key] for found in subjects.values()], digits)]
        for title, (key, digits) in kinds.items()
    ]
    for load in subjects["default"]["loads"]:
        found = [subject["loads"].get(load, {}).get("cpu") for subject in subjects.values()]
        rows.append([f"{named(load)}, µs", *compared(found)])
    return Table(f"What it costs with {server}", headings, rows)


def compared(found: Sequence[Sequence[float] | None], digits: int = 0) -> list[str]:
    """Return measurements of the bare project, and those of others with their ratios."""
    bare, *others = found
    cells = [spread(bare, digits) if bare else ""]
    for other in others:
        assert other
        cells += [spread(other, digits), f"{ratio(other, bare):.2f}" if bare else ""]
    return cells


def named(load: str) -> str:
    """Return what a view and a number of clients are called."""
    view, clients = load.split()
    return f"{NAMES[view]}, {clients} clients"


def answers(server: str, subjects: dict[str, Any]) -> Table:
    """Return how fast each project answers under a server."""
    kinds = (("rate", 0), ("p50", 1), ("p99", 1))
    rows = []
    for load in subjects["default"]["loads"]:
        row = [named(load)]
        for found in subjects.values():
            seen = found["loads"].get(load)
            row.append(
                " / ".join(f"{median(seen[key]):.{digits}f}" for key, digits in kinds)
                if seen
                else ""
            )
        rows.append(row)
    title = f"Answers a second with {server}, and milliseconds that 50 and 99 of 100 take at most"
    return Table(title, ["", *subjects], rows)


def database(result: dict[str, Any]) -> Table:
    """Return how fast the default service reads from the database under each server."""
    rows = [
        [
            server,
            spread(found["kept"]),
            spread(found["one a request"]),
            f"{ratio(found['kept'], found['one a request']):.1f}",
            spread(found["rate"]),
            spread(found["share"]),
            spread(found["stolen"], 1),
            spread(found["p50"], 1),
            spread(found["p99"], 1),
            str(result["servers"][server]["default"]["connections"]),
        ]
        for server, found in result["database"].items()
    ]
    headings = (
        "server",
        "kept, /s",
        "one a request, /s",
        "times",
        "80 %, /s",
        "that was, %",
        "stolen, %",
        "p50",
        "p99",
        "open",
    )
    return Table("Queries over connections that are kept, and over one a request", headings, rows)


def features(found: Sequence[dict[str, Any]]) -> Table:
    """Return what each answer adds to the default service."""
    rows = [
        [
            f"`{each['option']}={str(each['answer']).lower()}`",
            spread(each["cpu"]),
            spread(each["memory"], 1),
        ]
        for each in found
    ]
    headings = ("answer", "µs a request", "MB a worker")
    return Table("What an answer adds to the default service", headings, rows)


def middleware(found: Sequence[dict[str, Any]]) -> Table:
    """Return what each middleware of the default service adds."""
    rows = [[f"`{each['name']}`", f"{each['cpu']:.1f}"] for each in found]
    rows.append(["all", f"{sum(each['cpu'] for each in found):.1f}"])
    return Table("What each middleware adds in one process", ("middleware", "µs a request"), rows)


def overview(result: dict[str, Any]) -> Table:
    """Return what the default service costs, and what it may."""
    rows = [
        [
            limit.what,
            f"{limit.measured:.2f}{'' if limit.holds else ', missed'}",
            f"{limit.limit:.2f}",
        ]
        for limit in judge(result)
        if limit.requirement in {"P1", "P2"}
    ]
    title = "What the default service costs under gunicorn, as a multiple of a bare Django project"
    return Table(title, ("", "measured", "at most"), rows)


def limits(result: dict[str, Any]) -> Table:
    """Return every limit with what was measured."""
    rows = [
        [
            f"{limit.requirement}: {limit.what}",
            f"{limit.measured:.2f}",
            limit.bound,
            "kept" if limit.holds else "MISSED",
        ]
        for limit in judge(result)
    ]
    return Table("Limits", ("limit", "measured", "may be", ""), rows)
