"""T19: a parent who must not know of a child gets, byte for byte, what a parent without one gets; as do the database's looks."""

from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import delete, select

from mobile_api.routes import described
from service.people import family
from service.people.tables import Guardianship
from tests.phones import API, NativePhone, born_on, parent_of, signed_in
from tests.school import Running
from tests.threats.attack import Guard, guarded_by, harm

Said = dict[str, tuple[int, bytes, str, int]]
QUERIES = {"document": "?child_id={child_id}"}


MINE: ContextVar[bool] = ContextVar("mine", default=False)


class Looks:
    """How many statements the service sends to the database for what this test asks, and none of its own jobs'."""

    def __init__(self, school: Running):
        self.count = 0
        for engine in {school.database.engine, school.database._readers, school.database._lookups}:
            event.listen(engine.sync_engine, "before_cursor_execute", self._counted)

    def _counted(self, *_: Any) -> None:
        self.count += MINE.get()


async def asked(school: Running, phone: NativePhone, looks: Looks, ids: dict[str, str]) -> Said:
    """Every GET of the API, with the child's own ids: status, bytes, tag and number of looks."""
    said: Said = {}
    await phone.ask("GET", "/phones")  # the first after a change builds what all later ones find built
    for path, operations in described()["paths"].items():
        if "get" in operations:
            operation = operations["get"]["operationId"]
            where = (path.removeprefix(API) + QUERIES.get(operation, "")).format(**ids)
            school.database.memory.forget()  # else the looks depend on what somebody asked a moment before
            looks.count, mine = 0, MINE.set(True)
            answer = await phone.ask("GET", where)
            MINE.reset(mine)
            said[operation] = (answer.status_code, answer.content, answer.headers.get("ETag", ""), looks.count)
    return said


async def change(school: Running, parent: str, **flags: Any) -> None:
    async with school.database.writing() as session:
        for link in (await session.exec(select(Guardianship).where(Guardianship.guardian_id == parent))).all():
            for name, value in flags.items():
                setattr(link, name, value)


async def unlinked(school: Running, parent: str) -> None:
    async with school.database.writing() as session:
        await session.exec(delete(Guardianship).where(Guardianship.guardian_id == parent))


async def family_of(school: Running) -> tuple[NativePhone, str, dict[str, str]]:
    """A parent who has answered, set a limit and been told something of their child."""
    lesson = school.lesson()
    child = lesson["pupil_ids"][0]
    await born_on(school, child)
    parent, phone = await parent_of(school, child), await signed_in(school, child, in_person=True)
    permissions = (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    document = next(one["document_id"] for one in permissions if one["purpose"] == "camera")
    answer = {"purpose": "camera", "says_yes": False, "document_id": document, "responsibility": "yes"}
    assert (await phone.ask("POST", f"/children/{child}/consent", answer)).status_code == 200
    tag = (await phone.ask("GET", f"/children/{child}/data")).headers["ETag"]
    limit = await phone.ask("PUT", f"/children/{child}/data", {"limit_mb": 500}, headers={"If-Match": tag})
    assert limit.status_code == 200
    return phone, parent, {"child_id": child, "document_id": document, "lesson_id": lesson["id"]}


BLOCKS: tuple[dict[str, Any], ...] = (
    {"court_order": "yes"}, {"court_order": "unknown"}, {"do_not_contact": True}, {"court_order": "yes", "do_not_contact": True})


@pytest.mark.parametrize("flags", BLOCKS, ids=str)
async def test_a_blocked_parent_gets_what_a_parent_without_a_child_gets(school: Running, flags: dict[str, Any]) -> None:
    phone, parent, ids = await family_of(school)
    looks = Looks(school)
    before = await asked(school, phone, looks, ids)
    await change(school, parent, **flags)
    blocked = await asked(school, phone, looks, ids)
    await change(school, parent, court_order="no", do_not_contact=False)
    assert await asked(school, phone, looks, ids) == before  # the control: what is compared differs for whoever is let in
    await unlinked(school, parent)
    without = await asked(school, phone, looks, ids)
    assert blocked == without
    of_a_child = {name for name, path in operations() if "{child_id}" in path}
    of_a_child |= {"me", "agreement", "document", "timetable", "messages"}
    assert {name for name in before if before[name] != blocked[name]} == of_a_child


def operations() -> list[tuple[str, str]]:
    return [(found["get"]["operationId"], path) for path, found in described()["paths"].items() if "get" in found]


def all_children(patch: pytest.MonkeyPatch) -> None:
    """The flags are forgotten: whoever is linked to a child is told of it."""
    async def linked(session: Any, actor: Any) -> tuple[family.OwnChild, ...]:
        rows = await session.exec(select(Guardianship.child_id).where(Guardianship.guardian_id == actor.person_id))
        return tuple(family.OwnChild(child, "Ali") for child in rows.all())

    patch.setattr(family, "children", linked)


@guarded_by(Guard("one look at whom a parent may be told of", all_children))
async def test_the_flags_are_what_hides_a_child(school: Running, attempt: Any) -> None:
    phone, parent, ids = await family_of(school)
    await change(school, parent, court_order="yes")
    with attempt:
        harm((await phone.ask("GET", "/me")).json()["children"], "the name of a child")
        harm((await phone.ask("GET", f"/children/{ids['child_id']}/data")).status_code == 200, "what a child used")


async def test_what_a_blocked_parent_writes_is_refused_as_for_a_child_that_does_not_exist(school: Running) -> None:
    """Also what they had sent before: an answer that is asked for again is not given again."""
    phone, parent, ids = await family_of(school)
    child, key = ids["child_id"], "the-same-wish"
    answer = {"purpose": "chat", "says_yes": False, "document_id": "", "responsibility": "yes"}
    permissions = (await phone.ask("GET", f"/children/{child}/consent")).json()["permissions"]
    answer["document_id"] = next(one["document_id"] for one in permissions if one["purpose"] == "chat")
    first = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    again = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    assert (first.status_code, again.content) == (200, first.content)
    await change(school, parent, do_not_contact=True)
    blocked = await phone.ask("POST", f"/children/{child}/consent", answer, key=key)
    nothing = await phone.ask("POST", "/children/nothing/consent", answer)
    assert (blocked.status_code, blocked.content) == (404, nothing.content)
