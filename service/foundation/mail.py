"""E-mail that says only that something waits: queued with what it is about, sent after the commit, until a day old.

A mail carries one of these sentences and nothing else: no name, school, class, time, kind or link. Whoever reads somebody
else's mailbox learns that the school uses this service. One event makes one mail for one person (a row that can exist only
once; the message's own id stays the same through every try, so that a mailbox drops a repetition). Sending has a job of its
own: a mail server that stalls delays nothing else.
"""

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import aiosmtplib
import structlog
from sqlmodel import Field, SQLModel, UniqueConstraint, col, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation.clock import Clock
from service.foundation.db import Database, IdField
from service.foundation.settings import Settings

log = structlog.get_logger(__name__)
Text = Literal["N2", "N3", "N5", "N6", "N7", "S1", "S2", "S3", "S4", "S5"]
TEXTS: dict[str, str] = {
    "N2": "There is a question for you in Chaperone.", "N3": "A lesson needs attention. Open Chaperone.",
    "N5": "There is news for you in Chaperone.",
    "N6": "A new phone was added to an account, or its contact details changed. If you did not expect this, ring school.",
    "N7": "Something changed just now. Open Chaperone.", "S1": "Safeguarding alert. Sign in to Chaperone.",
    "S2": "A decision is waiting for you.", "S3": "Your request has an answer.",
    "S4": "Chaperone needs technical attention.", "S5": "Something of yours needs renewing.",
}
CLOSING = "Open Chaperone the way you usually do."
ANY_HOUR = frozenset({"N7", "S1"})
OF_FAMILIES = frozenset({"N2", "N5", "N7"})
"""What is said to the adults of a family about its children."""
SAID_BY: dict[str, tuple[str, ...]] = {"N5": ("N5", "N7")}
"""One that has not left yet says these too: a term of lessons that moves is one piece of news, and so is a night of them."""
NIGHT, MORNING = time(21), time(7)
TRIED_FOR = timedelta(days=1)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)
PATIENCE = 20.0
"""Seconds for which one try may take."""
EVERY = 2.0
BATCH = 20
KEPT = timedelta(days=30)


class Mail(SQLModel, table=True):
    """One mail for one person. `about` and `occasion` make it the same mail. Of the words only their id; an address only in a
    warning that goes where its person was reached before, until it went."""

    __tablename__ = "mail"
    __table_args__ = (UniqueConstraint("about", "occasion", "person_id", "text"),)
    id: str = IdField()
    school_id: str = Field(foreign_key="school.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    text: str = Field(max_length=2)
    about: str = Field(max_length=32, index=True)
    occasion: str = Field(default="", max_length=60)
    address: str = Field(default="", max_length=254, description="Empty: where the person is reached when it is sent.")
    made_at: datetime
    due_at: datetime = Field(index=True)
    next_at: datetime
    attempts: int = 0
    trouble: str = Field(default="", max_length=60, description="The kind of the last failure; never what a server said.")
    sent_at: datetime | None = Field(default=None, index=True)
    called_off_at: datetime | None = None
    gave_up_at: datetime | None = None


@dataclass(frozen=True)
class Post:
    """Where mails go. `demo`: they are listed on a page and leave for nowhere."""

    host: str = ""
    port: int = 587
    tls: str = "starttls"
    user: str = ""
    password: str = ""
    sender: str = ""
    demo: bool = False
    is_unreadable: bool = False

    @property
    def is_on(self) -> bool:
        return self.demo or (bool(self.host and self.sender) and not self.refusal)

    @property
    def refusal(self) -> str:
        """What is wrong with the settings, for the technician."""
        if self.host and not self.sender:
            return "CHAPERONE_SMTP_SENDER is missing"
        if self.tls not in ("starttls", "tls", "none"):
            return "CHAPERONE_SMTP_TLS must be starttls, tls or none"
        if self.is_unreadable:
            return "CHAPERONE_SMTP_PASSWORD_FILE cannot be read"
        return "A password is never sent without TLS" if self.password and self.tls == "none" else ""


def post_of(settings: Settings) -> Post:
    """The post of these settings; the password is read from its file once. A file that is not there stops mails, nothing else."""
    password, is_unreadable = "", False
    if settings.smtp_password_file is not None:
        try:
            password = settings.smtp_password_file.read_text().strip()
        except OSError:
            is_unreadable = True
    return Post(settings.smtp_host, settings.smtp_port, settings.smtp_tls, settings.smtp_user, password, settings.smtp_sender,
                demo=settings.dev and not settings.smtp_host, is_unreadable=is_unreadable)


# -- rules ------------------------------------------------------------------------------------------------------------


def not_at_night(text: str, at: datetime, zone: str) -> datetime:
    """When a notice may go: between nine in the evening and seven only an alert of the safeguarding team, or what ended a
    child's place in a lesson just now."""
    local = at.astimezone(ZoneInfo(zone))
    if text in ANY_HOUR or MORNING <= local.time() < NIGHT:
        return at
    day = local.date() + timedelta(days=1 if local.time() >= NIGHT else 0)
    return datetime.combine(day, MORNING, local.tzinfo).astimezone(at.tzinfo)


def pause(attempts: int) -> timedelta:
    """How long after the n-th failure the next try is."""
    return min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)


def message(mail: Mail, address: str, sender: str, now: datetime) -> EmailMessage:
    """The mail itself. Its id is the row's, hashed, so that it is the same at every try."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, address, TEXTS[mail.text]
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{hashlib.sha256(mail.id.encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(f"{TEXTS[mail.text]}\n\n{CLOSING}\n")
    return made


# -- queueing, in the caller's transaction ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Notice:
    """One sentence for some people, once for what it is about. `due`: when it may go, nights left out. `addresses`: where it goes
    by mail instead of where these people are reached now."""

    school_id: str
    people: frozenset[str]
    text: str
    about: str
    occasion: str
    now: datetime
    due: datetime
    addresses: Mapping[str, str] = field(default_factory=dict)


class Carrier(Protocol):
    """Another way for notices than mail: the phones of those who have one (`session.info["carrier"]`)."""

    async def queue(self, session: AsyncSession, notice: Notice) -> frozenset[str]:
        """Returns who needs no mail besides."""

    async def call_off(self, session: AsyncSession, *, about: str, now: datetime, person_id: str = "") -> None: ...

    async def call_off_news(self, session: AsyncSession, *, people: Collection[str], now: datetime) -> None: ...


async def queue(session: AsyncSession, *, school_id: str, people: Iterable[str], text: Text, about: str, occasion: str = "",
                now: datetime, zone: str, after: timedelta = timedelta(), addresses: Mapping[str, str] | None = None) -> None:
    """Tell each of these people, once for what it is about: on their phones where they have one, by mail, or both."""
    notice = Notice(school_id, frozenset(people), text, about, occasion, now, not_at_night(text, now + after, zone),
                    addresses or {})
    carrier: Carrier | None = session.info.get("carrier")
    told = await carrier.queue(session, notice) if carrier is not None else frozenset()
    await write(session, replace(notice, people=notice.people - told))


async def write(session: AsyncSession, notice: Notice) -> None:
    """A mail for each of these people. Without a mail server nothing is queued."""
    post: Post | None = session.info.get("post")
    if post is None or not post.is_on:
        return
    same = (Mail.about == notice.about) & (Mail.occasion == notice.occasion) & (Mail.text == notice.text)
    had = set((await session.exec(select(Mail.person_id).where(col(Mail.person_id).in_(notice.people), or_(
        same, unsent(Mail) & col(Mail.text).in_(SAID_BY.get(notice.text, ())))))).all())
    session.add_all(
        Mail(school_id=notice.school_id, person_id=person, text=notice.text, about=notice.about, occasion=notice.occasion,
             address=notice.addresses.get(person, ""), made_at=notice.now, due_at=notice.due, next_at=notice.due)
        for person in sorted(notice.people - had)
    )


async def call_off(session: AsyncSession, *, about: str, now: datetime, person_id: str = "") -> None:
    """What is not needed any more: somebody has got it, or this person must not learn of it."""
    carrier: Carrier | None = session.info.get("carrier")
    if carrier is not None:
        await carrier.call_off(session, about=about, now=now, person_id=person_id)
    wanted = update(Mail).where(col(Mail.about) == about, unsent(Mail)).values(called_off_at=now, address="")
    await session.exec(wanted.where(col(Mail.person_id) == person_id) if person_id else wanted)


async def call_off_news(session: AsyncSession, *, people: Collection[str], now: datetime) -> None:
    """Something stands since against telling these people of a child. A notice does not say which child it is of, so all go
    that are of families and have not left (policy: CM1)."""
    carrier: Carrier | None = session.info.get("carrier")
    if carrier is not None:
        await carrier.call_off_news(session, people=people, now=now)
    await session.exec(update(Mail).where(
        col(Mail.person_id).in_(people), col(Mail.text).in_(OF_FAMILIES), unsent(Mail)).values(called_off_at=now))


# -- sending ----------------------------------------------------------------------------------------------------------

AddressOf = Callable[[AsyncSession, str], Awaitable[str]]


async def run(database: Database, post: Post, clock: Clock, address_of: AddressOf) -> None:
    """Send what is due, for as long as the process lives."""
    while post.is_on:
        await send_due(database, post, clock, address_of)
        await asyncio.sleep(EVERY)
    await asyncio.Event().wait()


async def send_due(database: Database, post: Post, clock: Clock, address_of: AddressOf) -> int:
    """Alerts first. A server that does not answer is left alone until the next try. Returns how many were sent.

    Each is looked at again when its turn comes: while a server was slow with those before, it may have been called off.
    """
    now, sent = clock.now(), 0
    async with database.reading() as session:
        due = (await session.exec(_waiting().where(Mail.next_at <= now).order_by(
            col(Mail.text) != "S1", col(Mail.due_at)).limit(BATCH))).all()
    for each in due:
        async with database.reading() as session:
            mail = (await session.exec(_waiting().where(Mail.id == each.id))).first()
            address = mail.address or await address_of(session, mail.person_id) if mail is not None else ""
        if mail is None:
            continue
        trouble, is_down = await _try(post, mail, address, clock)
        sent += not trouble
        await _note(database, mail.id, trouble, clock.now())
        if is_down:
            break
    return sent


def _waiting() -> Any:
    return select(Mail).where(unsent(Mail))


def unsent(table: Any) -> Any:
    """Of mails, or of another carrier's notices: those that are still to leave."""
    return table.sent_at.is_(None) & table.called_off_at.is_(None) & table.gave_up_at.is_(None)


async def _try(post: Post, mail: Mail, address: str, clock: Clock) -> tuple[str, bool]:
    """(what went wrong, whether the server itself is to blame). Only the kind of a failure is kept: servers repeat addresses."""
    if not address:
        return "no-address", False
    if post.demo:
        return "", False
    try:
        async with asyncio.timeout(PATIENCE):
            await aiosmtplib.send(
                message(mail, address, post.sender, clock.now()), hostname=post.host, port=post.port,
                username=post.user or None, password=post.password or None, use_tls=post.tls == "tls",
                start_tls=post.tls == "starttls", timeout=PATIENCE, local_hostname=socket.gethostname(),
            )
    except aiosmtplib.SMTPRecipientsRefused as refused:
        codes = [each.code for each in refused.recipients]
        return ("no-such-address" if min(codes) >= 500 else "refused-for-now"), False
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        return type(error).__name__[:60], True
    return "", False


FOR_GOOD = frozenset({"no-address", "no-such-address"})


async def _note(database: Database, mail_id: str, trouble: str, now: datetime) -> None:
    async with database.writing() as session:
        mail = await session.get_one(Mail, mail_id)
        mail.attempts, mail.trouble = mail.attempts + 1, trouble
        if not trouble:
            mail.sent_at, mail.address = now, ""
        elif trouble in FOR_GOOD or now - mail.due_at >= TRIED_FOR:
            mail.gave_up_at, mail.address = now, ""
            log.warning("mail.given_up", mail_id=mail_id, trouble=trouble)
        else:
            mail.next_at = now + pause(mail.attempts)


async def clear(database: Database, clock: Clock) -> None:
    """Who was written to is kept for a month."""
    async with database.writing() as session:
        for mail in (await session.exec(select(Mail).where(Mail.made_at < clock.now() - KEPT))).all():
            await session.delete(mail)


# -- health -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """For the technician: states and numbers, nobody's name or address."""

    state: str
    waiting: int = 0
    failing: int = 0
    given_up: int = 0
    trouble: str = ""
    sent_at: datetime | None = None


async def health(session: AsyncSession, post: Post, now: datetime) -> Health:
    if not post.is_on:
        return Health("wrong" if post.refusal else "off", trouble=post.refusal)
    waiting = (await session.exec(_waiting())).all()
    failing = [mail for mail in waiting if mail.trouble]
    given_up = (await session.exec(select(func.count()).select_from(Mail).where(
        col(Mail.gave_up_at) > now - timedelta(days=7)))).one()
    sent_at = (await session.exec(select(func.max(Mail.sent_at)))).one()
    state = "demo" if post.demo else "failing" if failing else "working"
    return Health(state, len(waiting), len(failing), given_up, failing[-1].trouble if failing else "", sent_at)
