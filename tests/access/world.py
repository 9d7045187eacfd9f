"""One school with somebody of every role, things that are theirs and things that are not, and a second school beside it.

Every role is held by a person of its own who holds no other. What is asked is done and undone: each request finds the same
school.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from consent.agreements.rules import Audience
from consent.agreements.tables import Agreement
from consent.documents.tables import ConsentDocument, ConsentText
from consent.requests.tables import ConsentRequest
from consent.tables import ConsentResolution, ConsentResponse, RecordingObjection
from lessons.attention import sweep
from lessons.attention.tables import LessonAttention
from lessons.family.tables import FamilyMessage
from lessons.guests.tables import GuestPass, GuestPassLesson
from lessons.tables import Lesson, LessonAdult, LessonLink
from recordings import queries
from recordings.ending import recovery
from recordings.ending.tables import Destruction, HoldStep, RecoveryRecipient
from recordings.erasure.tables import RecordingErasure
from recordings.grants.tables import RecordingGrant
from recordings.practice.pages import ADULTS
from recordings.practice.tables import PracticeAdult, PracticePlan
from recordings.preparation.aside import Writing
from recordings.preparation.tables import RecordingPreparation
from recordings.review import part_key
from recordings.tables import Recording, RecordingPart, RecordingParticipant, RecordingView
from service import seed
from service.calls import numbers
from service.calls.tables import Call, PersonalPhone
from service.calls.texts.queries import REPLY
from service.calls.texts.tables import TextReply, TextTemplate
from service.foundation.db import new_id
from service.foundation.events import Role
from service.foundation.web import token_hash
from service.people import imports, sessions, step_up
from service.people import queries as people
from service.people.phones.tables import Phone, PhoneInvitation
from service.people.profile import Profile
from service.people.step_up import Proof
from service.people.tables import (
    Closure,
    DbsCheck,
    GroupMember,
    Guardianship,
    GuardianshipChange,
    Passkey,
    Person,
    PersonRole,
    ProfileChange,
    RoleRequest,
    School,
    SignIn,
    TeachingGroup,
)
from service.safeguarding.approvals.tables import Approval, ApprovalRequest, RequestedLesson, SafeguardingMark
from service.safeguarding.breaches.tables import DataBreach
from service.safeguarding.concerns.tables import Concern, ConcernExport
from service.safeguarding.incidents.tables import Incident
from service.safeguarding.tables import Alert
from tests.access.table import NOBODY, TOLD_NO
from tests.guests import invited
from tests.proofs import PASSWORD, SECRET
from tests.recordings.lesson import Recorded, begin, finish, start, until_durable
from tests.recordings.media import real_opus
from tests.school import Running, sign

NAMES = {
    Role.TEACHER: "Hall", Role.SUPPORT: "Bello", Role.HEADTEACHER: "Marsh", Role.DSL: "Okafor", Role.DEPUTY_DSL: "Nowak",
    Role.CHAIR: "Frost", Role.OFFICE: "Lin", Role.GOVERNOR: "Pike", Role.DPO: "Shaw", Role.TECHNICIAN: "Grant",
}
INCIDENTS = ("/incidents/{number}", "/incidents/{number}/entries", "/incidents/{number}/concern", "/incidents/{number}/about")
Ids = dict[str, str]


@dataclass
class World:
    """`people`, `cookies`: of the school, by role. `strangers`: cookies of another school's. `ids`: (relation, name) to an id,
    or to one for each role."""

    school: Running
    people: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    strangers: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    ids: dict[tuple[str, str], Any] = field(default_factory=dict)

    def path(self, path: str, relation: str, role: str) -> str:
        """The address with the ids that this relation has for this role."""
        said = path
        while "{" in said:
            name = said[said.index("{") + 1 : said.index("}")]
            said = said.replace("{" + name + "}", self.value(path, name, relation, role))
        return said

    def value(self, path: str, name: str, relation: str, role: str) -> str:
        found = self.ids.get((relation, f"{path} {name}")) or self.ids.get((relation, name)) or self.ids[("any", name)]
        if isinstance(found, dict):
            return str(found.get(role) or next(iter(found.values())))
        return str(found)


class Blank:
    """Pages without their drawing: who gets one is asked here some thousand times, what is on it elsewhere."""

    def get_template(self, name: str) -> "Blank":
        return self

    def render(self, context: dict[str, Any]) -> str:
        """Of a form that comes back: whether the person is refused, or only what they typed."""
        return TOLD_NO if "" in (context.get("errors") or {}) else ""


class Undone(Exception):
    """What was written is rolled back."""


@asynccontextmanager
async def undone(school: Running) -> AsyncIterator[None]:
    """Inside, what is written is checked and then rolled back, and whoever confirms is believed."""
    database, state = school.database, school.app.state
    writes, confirms = database.writing, step_up.confirmed

    @asynccontextmanager
    async def writing(**how: Any) -> AsyncIterator[Any]:
        with suppress(Undone):
            async with writes(**how) as session:
                yield session
                await session.flush()
                raise Undone

    async def believed(*_: Any) -> str:
        return new_id()

    async def proof(*_: Any) -> Proof:
        return Proof(new_id(), "")

    proves, step_up.by_password = step_up.by_password, proof
    database.writing, step_up.confirmed = writing, believed
    async def nothing(*_: Any) -> None: ...

    rotates, recovery.rotate = recovery.rotate, nothing  # files of keys are no part of a transaction
    templates, frame, state.templates = state.templates, state.frame, Blank()
    del state.frame
    try:
        yield
    finally:
        database.writing, step_up.confirmed, recovery.rotate = writes, confirms, rotates
        step_up.by_password = proves
        state.templates, state.frame = templates, frame


async def build(school: Running) -> World:
    """Fill the demo school with one of everything that an address can name."""
    world = World(school)
    own = school.lesson("Story time")
    async with school.database.writing() as session:
        for role, name in NAMES.items():
            world.people[role] = (await session.exec(select(Person.id).where(Person.family_name == name))).one()
        world.names = tuple((await session.exec(select(Person.family_name).where(Person.kind == "child"))).all())
        mine = await sessions.queries.actor(session, world.people[Role.TEACHER])
        assert mine is not None
        leader = Person(school_id=mine.school_id, kind="adult", given_name="Ada", family_name="Voss", email="ada@example.org")
        session.add(leader)
        await session.flush()
        world.people[Role.SENIOR_LEADER] = leader.id
        pupil, parent = (await session.exec(select(Guardianship.child_id, Guardianship.guardian_id).where(
            col(Guardianship.child_id).in_(own["pupil_ids"]), Guardianship.court_order == "no",
        ).order_by(Guardianship.id))).first()
        world.people |= {Role.PUPIL: pupil, Role.PARENT: parent}
    await school.give_role(leader.id, Role.SENIOR_LEADER)
    await school.set_profile(pupils_asked_from=11)
    guest = await invited(school, own["id"])
    world.people[Role.GUEST] = guest.guest_id
    async with school.database.writing() as session:
        await seed.give_proofs(session, school.app.state.pepper, school.clock.now() - timedelta(days=2), secret=SECRET,
                               password_hash=await school.app.state.passwords.hash(PASSWORD))
    folder = school.app.state.settings.data / "selftest"
    folder.mkdir(exist_ok=True)
    (folder / "latest.json").write_bytes(b"{}")
    for role in Role:
        world.cookies[role] = await school.cookie(world.people[role])
    world.cookies[NOBODY] = ""
    await _strangers(world)
    await _people(world, mine.school_id)
    await _lessons(world, mine.school_id, own["id"], guest.pass_id)
    await _safeguarding(world, mine.school_id)
    await _calls(world, mine.school_id)
    await _recordings(world, mine.school_id)
    world.ids |= {("wrong secret", "token"): "a-secret-that-nobody-was-given", ("wrong secret", "edition"): "0",
                  ("wrong secret", "key"): "0" * 32, ("wrong secret", "what"): "answered",
                  ("wrong secret", "name:path"): "app.js", ("a kind", "page:path"): "permissions", ("any", "kind"): "json",
                  ("any", "part"): "1", ("any", "track"): "1", ("any", "at_ms"): "0", ("any", "what"): "closures",
                  ("a kind", "/agreements/{part}/new part"): "pupils"}
    await sweep.sweep(school.database, school.clock)  # what it reads later is rolled back, and would be read for ever
    return world


async def _strangers(world: World) -> None:
    """Somebody of every role in another school."""
    school = world.school
    async with school.database.writing() as session:
        other = School(name="Birchwood School", live_at=school.clock.now())
        session.add(other)
        await session.flush()
        session.add_all(Agreement(school_id=other.id, audience=part, version=1, text="Be kind.", in_force_at=school.clock.now())
                        for part in Audience)
        for role in Role:
            kind = "child" if role is Role.PUPIL else "adult"
            person = Person(school_id=other.id, kind=kind, given_name="Sam", family_name="Stranger",
                            email=None if kind == "child" else f"{role}@other.example")
            session.add(person)
            await session.flush()
            session.add(PersonRole(person_id=person.id, role=role, school_id=other.id))
            world.strangers[role] = person.id
        await session.flush()
        for person_id in world.strangers.values():
            await sign(session, person_id)
        for role, person_id in world.strangers.items():  # once anybody has signed in, two people give power
            world.strangers[role] = await sessions.start(
                session, person_id=person_id, school_id=other.id, route="dev", now=school.clock.now())


async def _people(world: World, school_id: str) -> None:
    now, today = world.school.clock.now(), world.school.clock.now().date()
    office = world.people[Role.OFFICE]
    async with world.school.database.writing() as session:
        cole = (await session.exec(select(Person.id).where(Person.family_name == "Cole"))).one()
        group = (await session.exec(select(GroupMember.group_id).where(
            GroupMember.person_id == world.people[Role.PUPIL]))).one()
        links = (await session.exec(select(Guardianship).where(Guardianship.child_id == world.people[Role.PUPIL]))).all()
        far = TeachingGroup(school_id=school_id, name="9 Ash", key_stage=3, year_group="9")
        away = Person(school_id=school_id, kind="child", given_name="Bo", family_name="Farr", year_group="9")
        session.add_all((far, away))
        await session.flush()
        session.add(PersonRole(person_id=away.id, role=Role.PUPIL, school_id=school_id))
        session.add_all(GroupMember(group_id=far.id, person_id=who, school_id=school_id, part=part)
                        for who, part in ((away.id, "pupil"), (cole, "teacher")))
        changes = {asker: GuardianshipChange(
            school_id=school_id, guardianship_id=links[0].id, parental_responsibility="unknown", court_order="no",
            do_not_contact=False, reason="The family wrote to us", asked_by=asker, asked_at=now,
        ) for asker in {cole, *(world.people[role] for role in Role)}}
        khan = (await session.exec(select(Person.id).where(Person.family_name == "Khan"))).one()
        rules = {asker: ProfileChange(
            school_id=school_id, base_version=2, profile=Profile(retention_days=20).to_json(), reasons='{"all": "Enough"}',
            review_on=today + timedelta(200), asked_by=asker, asked_at=now,
        ) for asker in {khan, *(world.people[role] for role in Role)}}
        keys = {person: Passkey(
            school_id=school_id, person_id=person, credential_id=new_id(), public_key="none", name="Laptop", added_at=now,
            rests_until=now + timedelta(days=1),
        ) for person in {cole, *(world.people[role] for role in Role)}}
        power = RoleRequest(school_id=school_id, person_id=cole, role=Role.DEPUTY_DSL, asked_by=khan, asked_at=now)
        safe = RecoveryRecipient(school_id=school_id, name="The safe", public_key="age1none", asked_by=khan, asked_at=now)
        breach = DataBreach(school_id=school_id, number=1, what="A letter", whose="A family", noticed_at=now, recorded_at=now,
                            recorded_by=world.people[Role.DPO])
        session.add_all((power, safe, breach))
        closure = Closure(school_id=school_id, closed_on=today + timedelta(9), name="Training day")
        response = (await session.exec(select(ConsentResponse.id).where(
            ConsentResponse.child_id == world.people[Role.PUPIL]))).first()
        document = (await session.exec(select(ConsentDocument.id).where(
            ConsentDocument.school_id == school_id, ConsentDocument.purpose == "chat"))).one()
        draft = (await session.exec(select(ConsentText.id).where(
            ConsentText.school_id == school_id, col(ConsentText.approved_at).is_(None)))).first()
        order = ConsentResolution(
            school_id=school_id, child_id=world.people[Role.PUPIL], purpose="camera", kind="court_order",
            follows_id=links[0].guardian_id, reason="The family court", resolved_by=khan, resolved_at=now)
        asked = ConsentRequest(school_id=school_id, group_id=group, purposes="camera", asked_on=today,
                               deadline=today + timedelta(7), asked_by=office, asked_at=now)
        session.add_all((order, asked))
        objection = RecordingObjection(school_id=school_id, child_id=world.people[Role.PUPIL], objector_id=links[0].guardian_id,
                                       words="Our faith", received_at=now, recorded_by=office)
        session.add_all((*changes.values(), *rules.values(), *keys.values(), closure, objection))
        (await session.get_one(Person, world.people[Role.PUPIL])).born_on = today.replace(year=today.year - 12)
        await _phones(session, world, school_id, cole, keys)
        check = (await session.exec(select(DbsCheck.id).where(DbsCheck.person_id == cole))).one()
        actor = await people.actor(session, office)
    assert actor is not None
    sheet = b"Type,ID,First name,Last name\r\nPupil,P1,Zoe,Nunez"
    made = await imports.check(world.school.app.state, actor, sheet, is_whole=False)

    def of(rows: dict[str, Any]) -> dict[str, str]:
        return {role: rows[world.people[role]].id for role in Role}

    world.ids |= {
        ("child", "person_id"): world.people[Role.PUPIL], ("child", "child_id"): world.people[Role.PUPIL],
        ("child", "pupil_id"): world.people[Role.PUPIL], ("family", "person_id"): world.people[Role.PARENT],
        ("another's", "pupil_id"): away.id, ("another's", "child_id"): away.id, ("colleague", "person_id"): cole,
        ("self", "person_id"): dict(world.people), ("theirs", "group_id"): group, ("another's", "group_id"): far.id,
        ("theirs", "/guardians/changes/{change_id} change_id"): of(changes),
        ("another's", "/guardians/changes/{change_id} change_id"): changes[cole].id,
        ("any", "/roles/waiting/{request_id} request_id"): power.id, ("any", "recipient_id"): safe.id,
        ("any", "breach_id"): breach.id,
        ("any", "item"): "holds", ("theirs", "change_id"): of(rules), ("another's", "change_id"): rules[khan].id,
        ("theirs", "passkey_id"): of(keys), ("another's", "passkey_id"): keys[cole].id,
        ("any", "purpose"): "chat", ("any", "resolution_id"): order.id,
        **{("any", f"/permissions/requests/{{request_id}}{end} request_id"): asked.id
           for end in ("", "/remind", "/end", "/calls", "/forms")},
        ("any", "language"): "pl", ("any", "document_id"): document, ("any", "text_id"): str(draft),
        ("any", "row_id"): closure.id, ("any", "response_id"): str(response), ("any", "objection_id"): objection.id,
        ("any", "check_id"): check, ("any", "import_id"): made, ("any", "/guardians/{link_id} link_id"): links[0].id,
    }


async def _phones(session: Any, world: World, school_id: str, cole: str, keys: dict[str, Passkey]) -> None:
    """A phone and a message of the parent's and of somebody else's, a letter, and one that waits for its code."""
    now = world.school.clock.now()
    await session.flush()
    for relation, person in (("theirs", world.people[Role.PARENT]), ("another's", cole)):
        sign_in = SignIn(school_id=school_id, person_id=person, token_hash=new_id(), route="phone", started_at=now, seen_at=now,
                         ends_at=now + timedelta(days=1))
        session.add(sign_in)
        await session.flush()
        phone = Phone(school_id=school_id, person_id=person, passkey_id=keys[person].id, key=new_id(), name="Phone",
                      platform="other", added_at=now, sign_in_id=sign_in.id)
        message = FamilyMessage(school_id=school_id, person_id=person, kind="new-phone", about=new_id(), made_at=now)
        session.add_all((phone, message))
        world.ids |= {(relation, "phone_id"): phone.id, (relation, "message_id"): message.id}
    letters = [PhoneInvitation(
        school_id=school_id, person_id=world.people[Role.PARENT], token_hash=new_id(), code_hash=code, code_by=by, made_by=cole,
        made_at=now, is_recovery=not code, expires_at=now + timedelta(days=7)) for code, by in (("hash", cole), ("", ""))]
    session.add_all(letters)
    world.ids |= {("any", f"/phones/invitations/{{invitation_id}}/{what} invitation_id"): letter.id
                  for what, letter in zip(("stop", "code"), letters, strict=True)}


async def _lessons(world: World, school_id: str, own: str, pass_id: str) -> None:
    """Story time is theirs: Mr Hall teaches it with Mrs Bello. Of 9 Ash's lesson nobody here is part but Ms Cole."""
    now = world.school.clock.now()
    async with world.school.database.writing() as session:
        cole = (await session.exec(select(Person.id).where(Person.family_name == "Cole"))).one()
        far = Lesson(school_id=school_id, group_id=world.ids[("another's", "group_id")], title="Physics: waves", planned_by=cole,
                     starts_at=now + timedelta(minutes=88), ends_at=now + timedelta(minutes=113), planned_at=now)
        waiting = (await session.exec(select(Lesson.id).where(Lesson.title == "Maths challenge"))).one()
        session.add(far)
        await session.flush()
        session.add(LessonAdult(lesson_id=far.id, person_id=cole, school_id=school_id, part="teacher"))
        links = {lesson: LessonLink(school_id=school_id, lesson_id=lesson, url="https://nrich.maths.org/waves")
                 for lesson in (own, far.id)}
        guest = Person(school_id=school_id, kind="adult", given_name="Una", family_name="Wills")
        need = LessonAttention(school_id=school_id, lesson_id=far.id, reason="paused", why="no-adult", raised_by="system",
                               raised_at=now)
        session.add_all((*links.values(), guest, need))
        await session.flush()
        session.add(PersonRole(person_id=guest.id, role=Role.GUEST, school_id=school_id))
        visit = GuestPass(school_id=school_id, guest_id=guest.id, sponsor_id=cole, kind="speaker", purpose="Talks about waves",
                          identity_note="Seen", starts_at=now, ends_at=now + timedelta(days=1), asked_at=now)
        session.add(visit)
        await session.flush()
        session.add(GuestPassLesson(pass_id=visit.id, lesson_id=far.id, school_id=school_id))
        coming = GuestPass(school_id=school_id, guest_id=guest.id, sponsor_id=cole, kind="speaker", purpose="Talks about light",
                           identity_note="Seen", starts_at=now, ends_at=now + timedelta(days=1), asked_at=now)
        session.add(coming)
        await session.flush()
        coming.approved, coming.decided_by, coming.decided_at = True, world.people[Role.HEADTEACHER], now
        session.add(coming)
        approval = (await session.exec(select(Approval).where(Approval.starts_at > now))).one()
        asked = (await session.exec(select(ApprovalRequest.id).where(ApprovalRequest.status == "waiting"))).one()
        requests = {role: await _asks(session, world, school_id, role, position)
                    for position, role in enumerate((Role.TEACHER, Role.SENIOR_LEADER, Role.HEADTEACHER))}
    pupil = world.people[Role.PUPIL]
    world.ids |= {
        ("theirs", "lesson_id"): own, ("another's", "lesson_id"): far.id,
        ("any", "/lessons/waiting/{lesson_id} lesson_id"): waiting, ("theirs", "link_id"): links[own].id,
        ("another's", "link_id"): links[far.id].id, ("any", "attention_id"): need.id, ("theirs", "pass_id"): pass_id,
        ("another's", "pass_id"): visit.id, ("another's", "/guests/{pass_id}/end pass_id"): coming.id,
        ("any", "approval_id"): approval.id, ("another's", "request_id"): asked,
        ("theirs", "request_id"): {role: row.id for role, row in requests.items()}, ("theirs", "person_id"): pupil,
        ("another's", "/lessons/{lesson_id}/attendance/{person_id} person_id"): world.ids[("another's", "pupil_id")],
    }


async def _asks(session: Any, world: World, school_id: str, role: Role, position: int) -> ApprovalRequest:
    """A one-to-one that somebody of this role asked for themselves."""
    now, me, pupil = world.school.clock.now(), world.people[role], world.people[Role.PUPIL]
    starts_at = now + timedelta(days=8 + position)
    ends_at = starts_at + timedelta(minutes=30)
    lesson = Lesson(
        school_id=school_id, group_id=world.ids[("theirs", "group_id")], pupil_id=pupil, title="One-to-one", starts_at=starts_at,
        ends_at=ends_at, status="waiting", planned_by=me, planned_at=now, outside="one-to-one", asked_because="Catching up",
    )
    asked = ApprovalRequest(
        school_id=school_id, kind="planned", adult_id=me, child_id=pupil, requested_by=me, requested_at=now,
        why="Comes back after weeks away", safeguards="Recorded",
    )
    session.add_all((lesson, asked))
    await session.flush()
    session.add_all((
        LessonAdult(lesson_id=lesson.id, person_id=me, school_id=school_id, part="teacher"),
        RequestedLesson(request_id=asked.id, lesson_id=lesson.id, school_id=school_id, starts_at=starts_at, ends_at=ends_at),
    ))
    await session.flush()
    return asked


CALLERS = (Role.TEACHER, Role.SUPPORT, Role.SENIOR_LEADER, Role.HEADTEACHER, Role.DSL, Role.DEPUTY_DSL, Role.OFFICE)


async def _calls(world: World, school_id: str) -> None:
    """A call that is over and a request for a personal telephone, of everybody who calls; and Ms Cole's."""
    now, pupil, parent = world.school.clock.now(), world.people[Role.PUPIL], world.people[Role.PARENT]
    cole = world.ids[("colleague", "person_id")]
    callers = {role: world.people[role] for role in CALLERS}
    async with world.school.database.writing() as session:
        calls = {who: Call(
            school_id=school_id, child_id=pupil, adult_id=parent, caller_id=who, purpose="welfare", asked_at=now, placed_at=now,
            ended_at=now, ended_why="no-answer") for who in (*callers.values(), cole)}
        for who in (*callers.values(), cole):
            await numbers.keep(session, world.school.app.state.pepper, school_id, who, numbers.OWN, "07700 900777", now)
        own = await numbers.hashes(session, school_id, [*callers.values(), cole], numbers.OWN)
        phones = {who: PersonalPhone(school_id=school_id, person_id=who, why="No microphone here", asked_at=now,
                                     until=now + timedelta(days=2), number_hash=own[who]) for who in (*callers.values(), cole)}
        text = TextTemplate(school_id=school_id, lineage="e" * 32, language="English", version=1, title="We rang", made_by=cole,
                            words="We tried to ring you.", made_at=now)
        reply = TextReply(school_id=school_id, said_id="SM1", came_at=now, cipher=world.school.app.state.pepper.seal(
            REPLY, f"{school_id}/SM1", "Thank you"))
        session.add_all((*calls.values(), *phones.values(), text, reply))
    fractions, poems = world.school.lesson("Maths: fractions"), world.school.lesson("English: war poems")
    world.ids |= {
        ("theirs", "call_id"): {role: calls[who].id for role, who in callers.items()}, ("another's", "call_id"): calls[cole].id,
        **{("theirs", f"{path} child_id"): pupil for path in ("/calls/new", "/calls/emergency")},
    }
    world.ids |= {("any", "/calls/texts/{key} key"): text.lineage, ("any", "reply_id"): reply.id}
    for path in ("/calls/phones/{request_id}", "/calls/phones/{request_id}/end"):
        world.ids |= {("theirs", f"{path} request_id"): {role: phones[who].id for role, who in callers.items()},
                      ("another's", f"{path} request_id"): phones[cole].id}
    for path in ("/lessons/{lesson_id}/absent", "/lessons/{lesson_id}/absent/{child_id}"):
        for relation, lesson in (("theirs", fractions), ("another's", poems)):
            world.ids |= {(relation, f"{path} lesson_id"): lesson["id"], (relation, f"{path} child_id"): lesson["pupil_ids"][0]}


async def _safeguarding(world: World, school_id: str) -> None:
    now = world.school.clock.now()
    async with world.school.database.writing() as session:
        worry, about = (Alert(school_id=school_id, kind="worry", raised_by=world.people[Role.PUPIL], raised_at=now,
                              called_at=now, routed_to=to) for to in (Role.DSL, Role.HEADTEACHER))
        mark = SafeguardingMark(school_id=school_id, person_id=world.people[Role.PUPIL], mark="talk-first", reason="Ask us",
                                set_by=world.people[Role.DSL], set_at=now)
        session.add_all((worry, about, mark))
        for relation, number, to in (("any", "C-2026-1111", Role.DSL), ("about staff", "C-2026-2222", Role.HEADTEACHER)):
            concern = Concern(school_id=school_id, number=number, raised_by=world.ids[("colleague", "person_id")],
                              raised_at=now, happened_on=now.date(), routed_to=to, about_staff=to is Role.HEADTEACHER)
            session.add(concern)
            await session.flush()
            pack = ConcernExport(school_id=school_id, concern_id=concern.id, receiver="Mr Best", organisation="Case system",
                                 key="age1", entries=0, asked_by=world.ids[("colleague", "person_id")], asked_at=now)
            session.add(pack)
            world.ids |= {(relation, "number"): number, (relation, "export_id"): pack.id}
        def incident(by: str, number: str, to: Role = Role.DSL) -> Incident:
            return Incident(school_id=school_id, number=number, recorded_by=by, recorded_at=now, happened_on=now.date(),
                            routed_to=to, about_staff=to is Role.HEADTEACHER)

        cole = world.ids[("colleague", "person_id")]
        own = {role: incident(who, f"I-2026-{number}") for number, (role, who) in enumerate(world.people.items(), 1000)}
        others = {"another's": incident(cole, "I-2026-3333"), "about staff": incident(cole, "I-2026-4444", Role.HEADTEACHER)}
        session.add_all((*own.values(), *others.values()))
        for path in INCIDENTS:
            world.ids |= {(relation, f"{path} number"): one.number for relation, one in others.items()}
            world.ids[("theirs", f"{path} number")] = {role: one.number for role, one in own.items()}
    world.ids |= {("any", "alert_id"): worry.id, ("about staff", "alert_id"): about.id, ("any", "mark_id"): mark.id}


async def _recordings(world: World, school_id: str) -> None:
    """One that nobody here was in but Mr Hall, and one that everybody was in. For each of them a view of the first that is
    theirs, were they allowed one, and one that the deputy's colleague opened."""
    school, now = world.school, world.school.clock.now()
    recorded = await _short(school, "Maths: fractions")
    await _small_picture(school, recorded)
    inside, far = await _short(school, "English: war poems"), await _short(school, "History: the Romans")
    views: dict[str, RecordingView] = {}
    async with school.database.writing() as session:
        session.add_all(
            RecordingParticipant(recording_id=inside.recording_id, person_id=person, school_id=school_id, role="pupil",
                                 admitted_at=now) for person in set(world.people.values()) - set(inside.participants))
        for role in Role:
            sign_in = (await session.exec(select(SignIn.id).where(
                SignIn.token_hash == token_hash(world.cookies[role])))).one()
            views[role] = RecordingView(
                school_id=school_id, recording_id=recorded.recording_id, person_id=world.people[role], session_id=sign_in,
                why="flag", granted_at=now, expires_at=now + timedelta(hours=2))
        session.add_all(views.values())
    async with school.database.writing() as session:
        session.add_all((
            HoldStep(school_id=school_id, recording_id=recorded.recording_id, hold_id=new_id(), number=1, step="asked",
                     words="The police rang", reference="C-1", review_on=now.date() + timedelta(30),
                     taken_by=world.people[Role.DSL], taken_at=now, grant_id=new_id()),
            Destruction(recording_id=far.recording_id, school_id=school_id, why="due", begun_at=now, begun_by="system",
                        destroyed_at=now, certificate='{"signature": ""}'),
        ))
    world.ids |= {(relation, f"/endings/{{lesson_id}}{address} lesson_id"): which.lesson_id for relation, which in (
        ("another's", recorded), ("theirs", inside), ("any", far)) for address in (
        "", "/keep", "/answer", "/release", "/review", "/referral", "/certificate", "/certificate.json")}
    erased = (("another's", "", recorded), ("theirs", "", inside), ("another's", "/answer", far), ("theirs", "/answer", inside))
    world.ids |= {(relation, f"/endings/{{lesson_id}}/erasure{end} lesson_id"): one.lesson_id for relation, end, one in erased}
    await _practice(world, school_id, far)
    grants = await _grants(world, school_id, recorded, inside)
    world.ids[("any", "/views/families/{view_id} view_id")] = views[Role.OFFICE].id
    somebodys = {role: views[Role.DEPUTY_DSL if role is Role.DSL else Role.DSL].id for role in Role}
    for address in ("", "/views/{view_id}", "/views/{view_id}/tracks", "/views/{view_id}/pieces", "/views/{view_id}/preparation",
                    "/views/{view_id}/parts/{part}/tracks/{track}/pictures/{at_ms}", "/views/{view_id}/notes",
                    "/views/{view_id}/clips"):
        path = "/recordings/{lesson_id}" + address
        world.ids |= {("theirs", f"{path} lesson_id"): inside.lesson_id}
        world.ids |= {(relation, f"{path} lesson_id"): recorded.lesson_id
                      for relation in ("another's", "their view", "somebody's view", "granted")}
    world.ids |= {("theirs", "/recordings/{lesson_id}/ask lesson_id"): inside.lesson_id,
                  ("another's", "/recordings/{lesson_id}/ask lesson_id"): far.lesson_id}
    world.ids |= {("granted", "view_id"): grants["view"], ("granted", "grant_id"): grants["allowed"],
                  ("another's", "grant_id"): grants["waiting"],
                  ("theirs", "grant_id"): {role: grants[role] for role in ASKERS}}
    world.ids |= {("their view", "view_id"): {role: view.id for role, view in views.items()},
                  ("somebody's view", "view_id"): somebodys}


async def _practice(world: World, school_id: str, far: Recorded) -> None:
    """A lesson of Ms Cole's that everybody is in, one that nobody here is in, and one of Mr Hall's that can be watched; and a
    request to erase a recording early that the DSL decided."""
    now, cole = world.school.clock.now(), world.ids[("colleague", "person_id")]

    def plan(teacher: str) -> PracticePlan:
        return PracticePlan(school_id=school_id, lesson_id=new_id(), title="Story time", class_name="1 Elm", asked_by=teacher,
                            starts_at=now + timedelta(hours=1), teacher_id=teacher, asked_at=now)

    async with world.school.database.writing() as session:
        theirs, others, made = plan(cole), plan(cole), plan(world.people[Role.TEACHER])
        session.add_all((theirs, others, made))
        await session.flush()
        session.add_all(PracticeAdult(plan_id=theirs.id, person_id=world.people[role], school_id=school_id) for role in ADULTS)
        session.add(Recording(
            id=made.id, school_id=school_id, kind="teaching-practice", lesson_id=made.id, title=made.title, class_name="1 Elm",
            starts_at=now, ends_at=now, started_at=now, ended_at=now, outcome="complete", kept_until=now.date()))
        session.add(RecordingErasure(
            school_id=school_id, recording_id=far.recording_id, asker="parent", words="She asks for it", erases=True,
            decided_by=world.people[Role.DSL], decided_at=now, grant_id=new_id()))
        world.ids |= {("theirs", "plan_id"): theirs.id, ("another's", "plan_id"): others.id, ("granted", "plan_id"): made.id}


ASKERS = (Role.TEACHER, Role.SUPPORT, Role.SENIOR_LEADER, Role.HEADTEACHER, Role.DSL, Role.DEPUTY_DSL, Role.OFFICE)


async def _grants(world: World, school_id: str, recorded: Recorded, inside: Recorded) -> dict[str, str]:
    """A request of each who may ask, of the lesson that everybody was in; of the other, one of Ms Cole's that waits and one of
    Mr Hall's that was allowed, with the view that he opened."""
    now = world.school.clock.now()
    day = {"asked_at": now, "why": "flag", "words": "A voice", "starts_at": now - timedelta(hours=1), "ends_at": now}

    def asked(person: str, recording: Recorded) -> RecordingGrant:
        return RecordingGrant(school_id=school_id, recording_id=recording.recording_id, person_id=person, asked_by=person, **day)

    async with world.school.database.writing() as session:
        requests = {role: asked(world.people[role], inside) for role in ASKERS}
        waiting, allowed = asked(world.ids[("colleague", "person_id")], recorded), asked(world.people[Role.TEACHER], recorded)
        session.add_all((*requests.values(), waiting, allowed))
        await session.flush()
        allowed.allowed, allowed.decided_by, allowed.decided_at = True, world.people[Role.DSL], now
        allowed.reason, allowed.views, allowed.expires_at = "Agreed", 3, now + timedelta(days=3)
        sign_in = (await session.exec(select(SignIn.id).where(
            SignIn.token_hash == token_hash(world.cookies[Role.TEACHER])))).one()
        view = RecordingView(school_id=school_id, recording_id=recorded.recording_id, person_id=world.people[Role.TEACHER],
                             session_id=sign_in, why="flag", grant_id=allowed.id, granted_at=now, expires_at=now + timedelta(1))
        session.add_all((allowed, view))
    return {"waiting": waiting.id, "allowed": allowed.id, "view": view.id, **{role: row.id for role, row in requests.items()}}


async def _small_picture(school: Running, recorded: Recorded) -> None:
    """As preparing leaves it beside a part, of its first moment."""
    async with school.database.reading() as session:
        details = await queries.recording(session, recorded.begun.header.school_id, recorded.lesson_id)
    key = part_key(details, details.parts[0], school.app.state.vault)
    with Writing(school.app.state.vault.path(details.id, 1), key, recorded.begun.header) as aside:
        aside.picture(1, 0, b"RIFF0000WEBP")
        aside.finish()
    async with school.database.writing() as session:
        part = (await session.exec(select(RecordingPart.id).where(RecordingPart.recording_id == details.id))).one()
        session.add(RecordingPreparation(part_id=part, school_id=details.school_id, prepared_at=school.clock.now(), pictures=1))


async def _short(school: Running, title: str) -> Recorded:
    recorded = await begin(school, [], school.lesson(title))
    capture = start(school, recorded)
    track = capture.track("mic", person_id=recorded.teacher, source="microphone", codec="opus")
    capture.note("open", 0, {})
    for at, frame, key in real_opus(1, 440):
        track.write(frame, at, key)
    school.clock.advance(1)
    capture.flush()
    await until_durable(capture)
    await finish(school, recorded, capture)
    return recorded
