"""How REST framework reads what it is sent."""

from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """JSON, unless it is nested so deeply that nobody can mean it."""

    def parse(self, *args: Any, **options: Any) -> Any:
        """Return what the JSON stands for."""
        try:
            return super().parse(*args, **options)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
