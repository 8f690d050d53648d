"""Ends the process when Daphne has stopped.

Requests that it has dropped still run in threads, and some of them wait for the event loop, which
turns no more: without this the interpreter would wait for them until it is killed.
"""

import logging
import os
import sys
from typing import Any


def leave() -> None:
    """End the process without waiting for threads."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def end_with_the_reactor() -> None:
    """Leave once the reactor has shut down, if there is one that runs this process."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if reactor:
        reactor.addSystemEventTrigger("after", "shutdown", leave)
