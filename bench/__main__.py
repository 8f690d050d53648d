"""``make bench`` measures services side by side with a bare Django project.

It ends with status 1 when a limit is missed.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import documents, stages
from bench.limits import judge
from bench.tables import tables
from tools.render import ROOT

RESULT = ROOT / "build" / "bench.json"
COLUMNS = (
    BarColumn(),
    TimeElapsedColumn(),
    TextColumn("passed,"),
    TimeRemainingColumn(),
    TextColumn("left, {task.description}"),
)
LIBRARIES = ("django", "django-ninja", "gunicorn", "uvicorn", "daphne", "pyuwsgi", "psycopg")


class Watch:
    """Shows how far the measurements are: a bar, or a line every half minute."""

    def __init__(self, progress: Progress, seconds: float) -> None:
        self.progress = progress
        self.task = progress.add_task("", total=seconds)
        self.seconds = seconds
        self.done = 0.0
        self.began = self.said = time.monotonic()

    def report(self, seconds: float, text: str) -> None:
        """Note that something was done that took so long, or what is being done."""
        self.done += seconds
        self.progress.update(self.task, advance=seconds)
        if text:
            self.progress.update(self.task, description=text)
        now = time.monotonic()
        if self.progress.disable and now - self.said > 30:
            self.said = now
            left = max(0, self.seconds - self.done)
            self.progress.console.print(f"{left:.0f} s left, {text or 'on it goes'}")


def machine() -> dict[str, Any]:
    """Return what measured figures depend on."""
    information = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in information if "model name" in line)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": next(models, platform.machine()),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def measure(plan: stages.Plan, result: dict[str, Any], console: Console) -> None:
    """Add all that a plan says to a result."""
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory() as folder,
        Progress(*COLUMNS, console=console, disable=not console.is_terminal) as progress,
    ):
        watch = Watch(progress, plan.seconds)
        bench = stages.Bench(plan, Path(folder), stack, watch.report)
        bench.run(result)


def verdict(result: dict[str, Any], *, busy: bool) -> int:
    """Print the limits that are missed, and return the exit status."""
    judged = [limit for limit in judge(result) if limit.steady or not busy]
    missed = [limit for limit in judged if not limit.holds]
    for limit in missed:
        print(limit)
    print(f"{len(judged) - len(missed)} limits kept, {len(missed)} missed")
    return int(bool(missed))


def main() -> None:
    """Measure, keep the result, show it as tables, and name the limits that are missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure the default service only")
    parser.add_argument("--rounds", type=int, help="how often each view is measured")
    parser.add_argument(
        "--busy", action="store_true", help="hold to what another load of the machine cannot change"
    )
    parser.add_argument("--output", type=Path, default=RESULT, help="where the result is kept")
    parser.add_argument("--keep", action="store_true", help="keep it as the reference, in bench/")
    parser.add_argument("--show", type=Path, help="show an earlier result, and measure nothing")
    arguments = parser.parse_args()
    # Where there is no terminal, lines may be as long as the tables are wide.
    console = Console(width=None if sys.stdout.isatty() else 140)
    if arguments.show:
        result = json.loads(arguments.show.read_text())
    else:
        plan = stages.QUICK if arguments.quick else stages.FULL
        if arguments.rounds:
            plan = replace(plan, rounds=arguments.rounds)
        console.print(f"This takes about {max(1, round(plan.seconds / 60))} min.")
        began = time.monotonic()
        result = {"machine": machine()}
        # Ended like this, too, it takes its servers with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            measure(plan, result, console)
        except (pytest.skip.Exception, pytest.fail.Exception) as missing:
            sys.exit(str(missing))
        except KeyboardInterrupt:
            sys.exit(
                f"Interrupted. Servers that were measured to the end are in {arguments.output}"
            )
        finally:
            if result.get("servers"):
                documents.write(result, arguments.output)
        console.print(f"Measured in {time.monotonic() - began:.0f} s, kept in {arguments.output}")
    for table in tables(result):
        console.print(table.rich())
    if arguments.keep:
        documents.write(result, documents.REFERENCE)
        for path, text in documents.documents(result).items():
            path.write_text(text)
    sys.exit(verdict(result, busy=arguments.busy))


if __name__ == "__main__":
    main()
