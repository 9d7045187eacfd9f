"""Every address that browsers asked for in a run, asked again by who has no business there (threats T10, T14; policy: AC3)."""

import re
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
from playwright.async_api import BrowserContext, Request, WebSocket

from consent.agreements.rules import audience
from service.app import addresses
from service.foundation.events import Role
from service.foundation.web import COOKIE, token_hash
from tests.access.table import Row, read
from tests.browser.programs import Service

OPEN = {(method, path) for method, path, is_public in addresses() if is_public}
NOTHING = "0" * 32


@dataclass
class Asked:
    """What browsers asked for: (method, address with its question) to the body and type that they sent."""

    requests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    sockets: set[str] = field(default_factory=set)

    def listen(self, context: BrowserContext) -> None:
        context.on("request", self._request)
        context.on("page", lambda page: page.on("websocket", self._socket))

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        address = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if parts.scheme == "http" and not parts.path.startswith("/static/"):
            self.requests[(request.method, address)] = (request.post_data_buffer or b"", request.headers.get("content-type", ""))

    def _socket(self, socket: WebSocket) -> None:
        self.sockets.add(urlsplit(socket.url).path)


def template(method: str, path: str) -> str:
    """The route behind an address."""
    served = sorted((route for verb, route, _ in addresses() if verb == method), key=lambda route: route.count("{"))
    return next((route for route in served if re.fullmatch(re.sub(r"\\\{.+?\\\}", "[^/]+", re.escape(route)), path)), "")


def wrong_roles(rows: list[Row], method: str, route: str) -> list[str]:
    """Roles to which the hand-written table lets nothing of this route be known, in any relation."""
    known = {role for row in rows if (row.method, row.path) == (method, route) for role in row.may | row.told_no}
    return [role for role in ("parent", "governor", "technician", "teacher", "pupil", "office") if role not in known]


def stranger(service: Service) -> str:
    """The cookie of somebody of another school who holds every role there is for an adult and has signed what they need to,
    written into the database."""
    now, token = datetime.now(UTC), secrets.token_urlsafe(32)
    school, person, agreement = (secrets.token_hex(16) for _ in range(3))
    roles = [role for role in Role if role is not Role.PUPIL]
    stamp, later = (f"{at:%Y-%m-%d %H:%M:%S.%f}" for at in (now, now + timedelta(hours=2)))
    with sqlite3.connect(service.folder / "data" / "chaperone.sqlite3", timeout=20) as database:
        _copy(database, "school", "is_demo", 1, id=school, name="Birchwood School", is_demo=0)
        _copy(database, "person", "kind", "adult", id=person, school_id=school, email=f"{person}@example.org", external_id=None)
        database.executemany("INSERT INTO person_role (person_id, role, school_id) VALUES (?, ?, ?)",
                             [(person, role, school) for role in roles])
        _copy(database, "agreement", "audience", audience(roles), id=agreement, school_id=school)
        _copy(database, "agreement_signature", "signed_by", "", id=secrets.token_hex(16), school_id=school,
              agreement_id=agreement, person_id=person, renew_on=f"{now + timedelta(days=300):%Y-%m-%d}")
        database.execute(
            "INSERT INTO sign_in (id, school_id, person_id, token_hash, route, started_at, seen_at, ends_at) "
            "VALUES (?, ?, ?, ?, 'dev', ?, ?, ?)",
            (secrets.token_hex(16), school, person, token_hash(token), stamp, stamp, later))
    database.close()
    return token


def _copy(database: sqlite3.Connection, table: str, column: str, value: object, **other: object) -> None:
    """A row like another one, but for what is `other`."""
    database.row_factory = sqlite3.Row
    row = dict(database.execute(f"SELECT * FROM {table} WHERE {column} = ? LIMIT 1", (value,)).fetchone()) | other
    marks = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


async def refuses_all(service: Service, asked: Asked) -> int:
    """Ask again without a cookie, in wrong roles and from another school. Returns how many answers were refusals, all alike."""
    rows, refused = read(), 0
    cookies = {role: await _cookie(service, role) for role in ("parent", "governor", "technician", "teacher", "pupil", "office")}
    strange = stranger(service)
    async with httpx.AsyncClient(base_url=service.url, headers={"origin": service.url}, timeout=30) as client:
        for (method, address), (body, kind) in list(asked.requests.items()):
            route = template(method, urlsplit(address).path)
            if not route or (method, route) in OPEN:
                continue
            for cookie in _who(rows, method, route, cookies, strange):
                answer = await _ask(client, method, address, body, kind, cookie)
                gone = await _ask(client, method, _nothing(address), body, kind, cookie)
                assert answer[0] in ({404} if cookie else {303, 401}), (method, address, answer[0])
                assert answer == gone, f"{method} {address} tells that it exists"
                refused += 1
    return refused


def _who(rows: list[Row], method: str, route: str, cookies: dict[str, str], strange: str) -> Iterator[str]:
    yield ""
    yield from (cookies[role] for role in wrong_roles(rows, method, route))
    if "{" in route:
        yield strange


async def _cookie(service: Service, role: str) -> str:
    async with httpx.AsyncClient() as client:
        await client.get(str(service.first(role)["sign_in_url"]))
        return str(client.cookies[COOKIE])


def _nothing(address: str) -> str:
    return re.sub(r"[0-9a-f]{32}", NOTHING, address)


async def _ask(client: httpx.AsyncClient, method: str, address: str, body: bytes, kind: str, cookie: str) -> tuple[int, str, str]:
    """The answer without what belongs to the asking: the ids in it, and when the sign-in ends."""
    headers = {"content-type": kind} if kind else {}
    headers |= {"cookie": f"{COOKIE}={cookie}"} if cookie else {}
    answer = await client.request(method, address, content=body, headers=headers)
    text = re.sub(r'data-(?:seconds-left|idle)[^ >]*|[0-9a-f]{32}', "", answer.text)
    return answer.status_code, _nothing(answer.headers.get("location", "")), text
