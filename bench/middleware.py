"""Times a service in this process with one middleware more each time, and prints that as JSON.

It runs in the folder of a service, whose settings and views it loads.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

ROUNDS = 150
REQUESTS = 20
HEADERS = {
    "HTTP_HOST": "example.com",
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PROTO": "https",
    "PATH_INFO": "/api/v1/light",
    "QUERY_STRING": "",
    "REMOTE_ADDR": "127.0.0.1",
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.errors": sys.stderr,
    "wsgi.input": sys.stdin.buffer,
    "wsgi.url_scheme": "http",
}


def handler(middleware: list[str]) -> Callable[[], None]:
    """Return what makes a request go through so many middlewares."""
    settings.MIDDLEWARE = middleware
    application = WSGIHandler()

    def ask() -> None:
        response: Any = application(HEADERS.copy(), lambda status, headers: None)
        assert response.status_code == 200, response.status_code
        b"".join(response)
        response.close()

    return ask


def microseconds(ask: Callable[[], None]) -> float:
    """Return the processor time of a request."""
    began = time.process_time()
    for _ in range(REQUESTS):
        ask()
    return (time.process_time() - began) / REQUESTS * 1e6


output = os.fdopen(os.dup(1), "w")
# The line of each request goes where it costs what it costs in a service, and nobody reads it.
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
django.setup()
names = list(settings.MIDDLEWARE)
handlers = [handler(names[:count]) for count in range(len(names) + 1)]
rounds = [[microseconds(ask) for ask in handlers] for _ in range(ROUNDS)]
# The least of many short measurements is the one that nothing else has disturbed.
least = [min(times) for times in zip(*rounds, strict=True)]
added = [least[0], *(more - less for less, more in pairwise(least))]
found = [
    {"name": name, "cpu": round(cost, 1)}
    for name, cost in zip(["the view alone", *names], added, strict=True)
]
json.dump(found, output)
output.close()
