"""Clients that ask a service steadily while something breaks, and remember each answer."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from statistics import fmean

import requests

from tests.faults.table import Fault
from tests.project import Server
from tests.services import standstills, until
from tests.test_nginx import Nginx

# What needs neither database nor cache, but passes everything that protects the service.
OTHERS = "/trial/scheme"
FINE = {200, 201}
# How many answers are awaited before and after a fault.
FEW = 10
# How long those may take on average while a fault lasts, on a busy machine, in seconds.
PATIENCE = 1
# How often a fault is made until everything is as fast as it ought to be, and how long others
# are given in between to leave the machine alone, in seconds.
ATTEMPTS = 4
PAUSE = 15


@dataclass(frozen=True)
class Answer:
    """When a request began and ended, and with which status; 0 if there was no answer."""

    began: float
    ended: float
    status: int

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended - self.began


@dataclass(frozen=True)
class Outcome:
    """What clients saw of a fault, and for how long after it; how long others waited on average."""

    statuses: Counter[int]
    slowest: float
    recovery: float
    others: float = 0

    def is_in_time(self, fault: Fault) -> bool:
        """Return whether nobody waited for longer than a fault may take."""
        return self.slowest <= fault.slowest and self.others < PATIENCE


# Makes a request and returns the status of its answer.
type Request = Callable[[], int]
type Breaking = Callable[[], AbstractContextManager[object]]
type Record = Callable[[Fault, Outcome], None]


class Clients:
    """Threads that make the same request again and again."""

    def __init__(self, request: Request, number: int) -> None:
        self.request = request
        self.number = number
        self.answers: list[Answer] = []
        self.done = threading.Event()

    def ask(self) -> None:
        """Ask until told to stop."""
        while not self.done.wait(0.02):
            began = time.monotonic()
            try:
                status = self.request()
            except requests.RequestException:
                status = 0
            self.answers.append(Answer(began, time.monotonic(), status))

    @contextmanager
    def asking(self) -> Iterator[list[Answer]]:
        """Ask meanwhile."""
        threads = [threading.Thread(target=self.ask) for _ in range(self.number)]
        for thread in threads:
            thread.start()
        try:
            yield self.answers
        finally:
            self.done.set()
            for thread in threads:
                thread.join()


def getting(server: Server | Nginx, path: str) -> Request:
    """Return a function that gets a path."""
    return lambda: int(server.get(path).status_code)


def endure(
    fault: Fault,
    server: Server,
    request: Request,
    breaking: Breaking,
    *,
    lasting: float = 3,
    untouched: int = 1,
) -> Outcome:
    """Break something while clients ask for what needs it; check what they see, and the log.

    A machine that does other things, too, may make somebody wait: that alone is tried again.
    """
    printed = len(server.output)
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE if attempt else 0)
        outcome = observe(fault, server, request, breaking(), lasting, untouched)
        if outcome.is_in_time(fault):
            break
    assert outcome.is_in_time(fault), outcome
    assert fault.is_logged(server.output[printed:])
    return outcome


def observe(
    fault: Fault,
    server: Server,
    request: Request,
    breaking: AbstractContextManager[object],
    lasting: float,
    untouched: int,
) -> Outcome:
    """Return what clients see while something is broken, once all but its times is checked.

    While the machine stands still, time-outs pass that have nothing to do with the fault: nobody
    has waited for that long, and what is answered then tells nothing.
    """
    with (
        standstills() as still,
        Clients(request, 3).asking() as answers,
        Clients(getting(server, OTHERS), untouched).asking() as elsewhere,
    ):

        def calm() -> list[Answer]:
            return [each for each in answers if not still.within(each.began, each.ended)]

        def waited(answer: Answer) -> float:
            return answer.seconds - still.within(answer.began, answer.ended)

        until(lambda: len(calm()) > FEW, 30, "the first answers")
        began = time.monotonic()
        with breaking:
            broken = time.monotonic()
            time.sleep(lasting)
            mending = time.monotonic()
        mended = time.monotonic()
        time.sleep(fault.recovery)

        def after() -> list[Answer]:
            return [each for each in calm() if each.began >= mended + fault.recovery]

        until(lambda: len(after()) > FEW, 30, "the last answers")

    before = [answer for answer in calm() if answer.ended < began]
    first, last = (broken, mending) if lasting else (began, mended)

    def meanwhile(answers: list[Answer]) -> list[Answer]:
        return [answer for answer in answers if answer.ended >= first and answer.began <= last]

    during = meanwhile(answers)
    # Its beginning and its end may divide a request.
    whole = [answer for answer in calm() if answer.began >= first and answer.ended <= last]
    failed = [answer.ended for answer in answers if answer.status not in FINE]
    waits = [waited(answer) for answer in meanwhile(elsewhere)]
    outcome = Outcome(
        Counter(answer.status for answer in during),
        max(waited(answer) for answer in answers if answer.ended >= first),
        max(0, max(failed, default=0) - mended),
        fmean(waits or [0]),
    )
    assert before
    assert {answer.status for answer in before} <= FINE
    assert fault.statuses[0] in outcome.statuses, outcome
    assert set(outcome.statuses) <= {*fault.statuses, *FINE}, outcome
    assert {answer.status for answer in whole} <= set(fault.statuses), outcome
    assert {answer.status for answer in after()} <= FINE, outcome
    assert {answer.status for answer in elsewhere} <= {200}, outcome
    return outcome
