"""Log lines are JSON objects that hold no secret."""

import json
import logging
import sys
from logging.config import DictConfigurator

from config import logs


def line(**attributes: object) -> str:
    """Return the line that production prints for a record."""
    formatter = logs.configuration("info")["formatters"]["line"]
    record = logging.makeLogRecord({"name": "anything", "levelno": logging.ERROR, **attributes})
    made = DictConfigurator({"version": 1}).configure_formatter(formatter)
    return str(made.format(record))


def test_a_line_is_an_object() -> None:
    fields = str(json.loads(line(msg="Watch %s", args=("this",), answer=42)))

    assert "Watch this" in fields
    assert "42" in fields


def test_a_traceback_shows_no_values() -> None:
    password = "hunter" + str(2)
    try:
        raise ValueError(f"no password of {len(password)} characters")
    except ValueError:
        text = line(msg="It broke", exc_info=sys.exc_info())

    assert "no password of 7 characters" in str(json.loads(text))
    assert "hunter2" not in text
