"""README shows what the tests of faults expect."""

from tests.faults.table import BEGIN, END, FAULTS, README, table
from tools.render import ROOT


def test_readme_shows_what_tests_expect() -> None:
    """The table in README is the one that tests hold services to (U1)."""
    _, _, shown = README.read_text().partition(BEGIN)

    assert shown.partition(END)[0] == table()


def test_each_fault_is_made() -> None:
    """No row stands in the table without a test that makes the fault (U1)."""
    code = "".join(path.read_text() for path in (ROOT / "tests/faults").glob("test_*.py"))

    assert [fault.name for fault in FAULTS if f'"{fault.name}"' not in code] == []
