"""A service with exactly one guard taken out, for tests that have to see their own alarm ring: `python -m tests.sabotage NAME`.

No switch of the product does any of this; the guards are replaced here, in a process of its own.
"""

import json
import socket
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import uvicorn
from sqlmodel import col, select

import lessons.live.room as room
import service.app as application
from lessons import rules
from lessons.live import routes, supervision
from lessons.live.plan import Person
from lessons.live.recorder import Tape
from lessons.live.supervision import Hold, Kind, Verdict
from recordings.writer import Writer
from service.foundation.settings import Settings
from service.foundation.web import Standing
from service.people import queries
from service.people.sessions import authenticate
from service.people.tables import SignIn


def lone_adults() -> None:
    """Anybody is company enough."""
    supervision._company_until = lambda snapshot: inf


def unwritten() -> None:
    """The recorder says that it took what it threw away."""
    Tape.write = lambda tape, frame, at_ms, key: True  # type: ignore[method-assign]


def blind_to_its_file() -> None:
    """The recorder goes on writing into a file that is not there any more."""
    Writer._check_place = lambda writer: None  # type: ignore[method-assign]


def without_consent() -> None:
    rules.may_take_part = lambda purposes: True


def without_adults() -> None:
    supervision._adult_until = lambda snapshot: inf


def whispering() -> None:
    """What a pupil says does not reach the staff."""
    receives = routes._receives

    def behind_backs(to: Person, one: routes.Live, pupils_see_each_other: bool) -> bool:
        from_child = one.person.kind is Kind.CHILD
        return not (from_child and to.kind is Kind.STAFF) and receives(to, one, pupils_see_each_other)

    routes._receives = behind_backs


def open_doors() -> None:
    """Who has no sign-in is taken for whoever signed in last."""
    async def somebody(connection: Any) -> Any:
        actor = await authenticate(connection)
        if actor is not None:
            return actor
        async with connection.app.state.database.glance() as session:
            last = (await session.exec(select(SignIn).order_by(col(SignIn.started_at).desc()).limit(1))).first()
            connection.state.standing = Standing(may_enter=True)
            return await queries.actor(session, last.person_id, session_id=last.id) if last else None

    application.authenticate = somebody  # type: ignore[attr-defined]


def never_open() -> None:
    """The safest room of all: nobody ever hears anybody."""
    room.lease = lambda snapshot, now: Verdict(-inf, (Hold.STARTING,))  # type: ignore[attr-defined]


SABOTAGES: dict[str, Callable[[], None]] = {
    made.__name__: made for made in (lone_adults, unwritten, blind_to_its_file, without_consent, without_adults, whispering,
                                     open_doors, never_open)
}


def main(name: str, data: Path) -> None:
    """Serve `data` on a free port of the loopback, and say which."""
    SABOTAGES[name]()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = application.create_app(Settings(data=data, port=port, media_addresses="127.0.0.1"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio", ws_max_size=256 * 1024))
    sys.stdout.write(json.dumps({"base_url": f"http://127.0.0.1:{port}"}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
