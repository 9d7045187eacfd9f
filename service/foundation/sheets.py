"""Tables for spreadsheets: no cell is ever run as a formula (OWASP, CSV injection)."""

import csv
import io
from collections.abc import Iterable, Sequence

RUNS = tuple("=+-@|%＝＋－＠")
"""How a cell starts that a spreadsheet may run, the full-width forms among them."""


def plain(value: str) -> str:
    """A cell of somebody's words: never a formula, on one line."""
    flat = " ".join(value.split())
    return f"'{flat}" if flat.startswith(RUNS) else flat


def written(headings: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """RFC 4180, with a byte order mark so that spreadsheets read names as UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return "\ufeff" + out.getvalue()
