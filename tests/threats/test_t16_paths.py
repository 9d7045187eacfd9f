"""T16: an id in an address is never a path. Every parameter of every address, with what has climbed out of other services."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import quote

import pytest

from service.app import addresses
from service.foundation.events import Role
from tests.access.conftest import built, world  # noqa: F401
from tests.access.table import NOBODY
from tests.access.world import World

TRAVERSALS = (
    "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc/passwd", "....//....//etc/passwd",
    "..\\..\\..\\windows\\win.ini", "..%5c..%5c", "%252e%252e%252fetc%252fpasswd", "/etc/passwd", "//etc/passwd",
    "file:///etc/passwd",
    "%00", "x%00.rec", "..%c0%af..%c0%afetc/passwd", "%ef%bc%8e%ef%bc%8e%2f", "~root", "CON", "a" * 5000, "-1",
    "1e9", "0x1", "\u202e",
    "..%2fkeys", "..%2fkeys%2frecordings.wrap", "1.rec", "1%2f..%2f..%2fkeys", "*", "' OR 1=1 --", "%0d%0aSet-Cookie:x=1",
)
WITH_IDS = sorted({(method, path) for method, path, _ in addresses() if "{" in path})
OPENINGS = ("open", "os.listdir", "os.scandir")
_watching: ContextVar[list[str] | None] = ContextVar("_watching", default=None)
"""Of the one who asks: what a job of another test's service opens meanwhile is not the answer to a request."""


def _note(event: str, arguments: tuple[object, ...]) -> None:
    opened = _watching.get()
    if opened is not None and event in OPENINGS and isinstance(arguments[0], str | bytes | os.PathLike):
        opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """The paths that are opened on behalf of whoever asks, as the interpreter itself reports them."""
    opened: list[str] = []
    before = _watching.set(opened)
    try:
        yield opened
    finally:
        _watching.reset(before)


APP = "/m/{page:path}"
"""Every address below it answers with the parents' app's one page, whose script reads the rest."""


def outside(opened: list[str], data: Path) -> list[str]:
    """What lies neither in the data folder nor in the program, or was reached by climbing."""
    allowed = (str(data), str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix, "/usr/share/zoneinfo", "/dev/urandom")
    return [path for path in opened if ".." in path or "passwd" in path
            or (path.startswith("/") and not os.path.realpath(path).startswith(tuple(map(os.path.realpath, allowed))))]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("role", [Role.DSL, Role.OFFICE, Role.HEADTEACHER, NOBODY])
async def test_no_parameter_of_any_address_reaches_a_file(world: World, role: str) -> None:  # noqa: F811
    data = world.school.app.state.settings.data
    wrong = []
    with files_opened() as opened:
        async with world.school.client(world.cookies[role]) as client:
            client.headers["accept"] = "application/json"
            for method, path in WITH_IDS:
                for number, text in enumerate(TRAVERSALS):
                    if (number + len(path)) % 6:
                        continue  # each address meets a sixth of them, each of them a sixth of the addresses
                    at = re.sub(r"\{[^}]+\}", lambda _, text=text: text if "%" in text else quote(text, safe="/"), path)
                    answer = await client.request(method, at)
                    refused = (303, 307, 401, 403, 404, 405, 422)
                    if answer.status_code not in (*refused, *({200} if path == APP else ())) or "root:" in answer.text:
                        wrong.append((method, at[:80], answer.status_code))
            for text in TRAVERSALS:
                answer = await client.get(f"/static/{text}" if "%" in text else f"/static/{quote(text, safe='/')}")
                if answer.status_code == 200 or "root:" in answer.text:
                    wrong.append(("GET", f"/static/{text}"[:80], answer.status_code))
    assert wrong == [], wrong
    assert outside(opened, data) == []


def test_a_file_that_is_opened_outside_is_noticed(tmp_path: Path) -> None:
    """Negative control: had an address led there, it would show."""
    with files_opened() as opened, open("/etc/passwd", encoding="utf-8"):
        pass
    assert outside(opened, tmp_path) == ["/etc/passwd"]


def test_the_name_of_a_recordings_file_is_never_taken_from_an_address() -> None:
    """Where files lie is made of ids that the service drew itself: no route hands a parameter to a path."""
    pages = Path(__file__).parents[2] / "recordings" / "pages.py"
    assert "vault.path(" not in pages.read_text(encoding="utf-8")
    assert not re.search(r"Path\(|open\(", pages.read_text(encoding="utf-8").replace("open_review(", ""))
