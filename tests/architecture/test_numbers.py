"""Who can read a telephone number is a list that fits on one screen (policy: CM5)."""

import re
from pathlib import Path

from tests.architecture.files import texts

SAYS_THE_DIGITS = {"service/calls/numbers.py", "service/calls/number.py"}
"""Beside whatever carries calls (`service/calls/sip`, `service/calls/rest`), whose task it is to dial."""
OPENS = {"service/calls/numbers.py", "service/people/numbers.py"}
READS_THE_TABLE = {"service/calls/numbers.py", "service/people/imports.py", "service/people/tables.py"}
PRODUCT = ("service", "lessons", "recordings", "consent", "mobile_api")


def saying(pattern: str) -> set[str]:
    found = {str(path): text for path, text in texts(".py", ".html", ".js").items() if path.parts[0] in PRODUCT}
    return {path for path, text in found.items() if re.search(pattern, text) and not _carries(path)}


def _carries(path: str) -> bool:
    return Path(path).parent in map(Path, ("service/calls/sip", "service/calls/rest")) or "/migrations/" in path


def test_only_the_reader_of_numbers_says_the_digits_of_one() -> None:
    assert saying(r"\.e164\b|\be164:") - {"service/people/telephones.py"} == SAYS_THE_DIGITS


def test_only_two_files_unseal_a_number() -> None:
    assert saying(r"numbers\.PURPOSE|\bPURPOSE = \"telephone\"") == OPENS


def test_only_three_files_know_the_table() -> None:
    assert saying(r"\bTelephone[,.)(]|import Telephone\b") == READS_THE_TABLE


def test_one_page_shows_a_familys_number() -> None:
    assert saying(r"numbers\.shown\(") == {"service/calls/pages/office.py"}


def test_a_new_reader_would_be_found() -> None:
    assert re.search(r"\.e164\b", "log.info(number.e164)")
    assert re.search(r"\bTelephone[,.)(]", "select(Telephone)")
