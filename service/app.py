"""The application: settings in, a FastAPI app out. Everything that lives as long as the process is made and ended here."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

import consent.agreements.pages as agreements_pages
import consent.agreements.signing as agreements_signing
import consent.conflict_pages as conflict_pages
import consent.documents.pages as document_pages
import consent.own_pages as own_permission_pages
import consent.pages as consent_pages
import consent.requests.pages as request_pages
import lessons.attendance.pages as attendance_pages
import lessons.attention.pages as attention_pages
import lessons.breakouts.pages as breakouts_pages
import lessons.engagement.pages as engagement_pages
import lessons.guests.pages as guests_pages
import lessons.live.alone as lesson_alone
import lessons.live.door as lesson_door
import lessons.live.now as lesson_now
import lessons.live.socket as lesson_socket
import lessons.one_to_one.pages as one_to_one_pages
import lessons.pages as lessons_pages
import lessons.practice.pages as lesson_practice
import mobile_api.calling.line as app_line
import mobile_api.once as mobile_once
import mobile_api.pwa.pages as parents_app
import mobile_api.route as mobile_route
import mobile_api.routes as mobile_routes
import recordings.ending.key_pages as key_pages
import recordings.ending.pages as ending_pages
import recordings.erasure.pages as erasure_pages
import recordings.grants.pages as grants_pages
import recordings.marks.pages as marks_pages
import recordings.pages as recordings_pages
import recordings.practice.pages as practice_pages
import recordings.told.pages as told_pages
import service.calls.line as call_line
import service.calls.pages as calls_pages
import service.calls.texts.hooks as text_hooks
import service.calls.texts.pages as text_pages
import service.governance.pages as governance_pages
import service.people.pages as people_pages
import service.people.phones.pages as phones_pages
import service.safeguarding.breaches.pages as breaches_pages
import service.safeguarding.concerns.pages as concerns_pages
import service.safeguarding.impact.pages as impact_pages
import service.safeguarding.incidents.pages as incidents_pages
import service.safeguarding.pages as safeguarding_pages
import service.safeguarding.reopening.pages as reopening_pages
import service.selftest.pages as selftest_pages
from consent.agreements import queries as agreements
from consent.documents.commands import seed_all as seed_texts
from lessons.attention import sweep
from lessons.engagement.commands import tell_leadership
from lessons.engagement.queries import has_lessons_with
from lessons.family import sweep as family_sweep
from lessons.live.reading import DECIDES_NOTHING, Rosters
from lessons.live.registry import open_registry
from lessons.media.plane import Plane
from lessons.reminders import remind
from mobile_api.calling.way import AppWay
from mobile_api.pwa.shell import Shell
from recordings import forgetting, keycopies
from recordings.commands import check_signing_keys
from recordings.commands import recover as recover_recordings
from recordings.ending import destruction, recovery
from recordings.moving import Mover
from recordings.practice import commands as practice
from recordings.practice.copying import Copying
from recordings.preparation.commands import Preparations, prepare_all
from recordings.shelf import Shelf
from recordings.storage import storage_of
from recordings.vault import Vault
from service import files, metrics
from service.backup import health as backup_health
from service.backup import known
from service.backup.restoring import refuse_half_restored
from service.backup.trying import remove_what_was_killed
from service.calls import commands as call_commands
from service.calls import health as call_health
from service.calls.carrying import way_of
from service.calls.desk import Desk
from service.calls.first import AppFirst
from service.calls.rest import hooks as provider_hooks
from service.calls.texts import commands as text_commands
from service.calls.way import Way
from service.foundation import audit, banners, bus, health, jobs, keys, mail, web
from service.foundation.clock import Clock, SystemClock
from service.foundation.crowd import Crowd
from service.foundation.db import Database
from service.foundation.errors import Unavailable
from service.foundation.settings import Settings
from service.migrations import upgrade
from service.people import hashing, rules
from service.people.frame import audiences, frame
from service.people.phones.bearer import authenticate
from service.people.phones.proofs import Proofs
from service.people.phones.tokens import AccessTokens, token_key
from service.people.push import commands as push_commands
from service.people.push import sending as push
from service.people.queries import address
from service.people.sessions import keep_seen
from service.people.sign_in import Tries
from service.safeguarding import escalation
from service.selftest import report
from service.wiring import SUBSCRIBERS

ROUTERS = (
    health.router,
    banners.router,
    metrics.router,
    *people_pages.ROUTERS,
    phones_pages.router,
    document_pages.router,
    request_pages.router,
    conflict_pages.router,
    agreements_pages.router,
    agreements_pages.versions,
    agreements_signing.router,
    consent_pages.router,
    own_permission_pages.router,
    lesson_door.router,
    lesson_socket.router,
    lesson_now.router,
    lesson_alone.router,
    attention_pages.router,
    one_to_one_pages.router,
    one_to_one_pages.team_router,
    safeguarding_pages.router,
    reopening_pages.router,
    concerns_pages.router,
    incidents_pages.router,
    impact_pages.router,
    breaches_pages.router,
    ending_pages.router,
    erasure_pages.router,
    key_pages.router,
    recordings_pages.router,
    marks_pages.router,
    grants_pages.router,
    told_pages.router,
    practice_pages.router,
    lesson_practice.router,
    attendance_pages.router,
    engagement_pages.router,
    governance_pages.router,
    selftest_pages.router,
    guests_pages.router,
    text_pages.router,
    text_hooks.router,
    *calls_pages.ROUTERS,
    call_line.router,
    app_line.router,
    provider_hooks.router,
    breakouts_pages.router,
    *mobile_routes.ROUTERS,
    mobile_routes.description,
    *lessons_pages.ROUTERS,
    parents_app.router,
)
ROUTES = tuple(route for router in ROUTERS for route in router.routes)
"""As they were declared: `include_router` would work every one out again for each application, at its first request."""
TEMPLATES = {
    "people": "service.people",
    "phones": "service.people.phones",
    "consent": "consent",
    "documents": "consent.documents",
    "requests": "consent.requests",
    "agreements": "consent.agreements",
    "safeguarding": "service.safeguarding",
    "reopening": "service.safeguarding.reopening",
    "impact": "service.safeguarding.impact",
    "breaches": "service.safeguarding.breaches",
    "incidents": "service.safeguarding.incidents",
    "recordings": "recordings",
    "calls": "service.calls",
    "texts": "service.calls.texts",
    "lessons": "lessons",
    "governance": "service.governance",
    "selftest": "service.selftest",
}
HERE = Path(__file__).parent
STATIC = {"/lessons": HERE.parent / "lessons/static", "/recordings": HERE.parent / "recordings/static",
          "/calls": HERE / "calls/static", "": HERE / "static"}


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """The whole service. Nothing is opened before the server starts it (lifespan)."""
    app = FastAPI(lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None, title="Chaperone")
    app.state.settings = settings
    app.state.clock = clock or SystemClock()
    app.state.authenticate = authenticate
    app.state.standing_of = agreements.standing
    app.state.seen = {}
    app.state.frame = frame
    app.state.notices = (banners.on_page, agreements_signing.notice)
    app.state.banners = (safeguarding_pages.banners, reopening_pages.banners, attention_pages.banners, ending_pages.banners,
                         grants_pages.banners, practice_pages.banners, impact_pages.banners)
    app.state.health = (backup_health.tiles, call_health.tiles)
    app.state.of_lesson = sweep.of_lesson
    app.state.bell = banners.Bell()
    app.state.audiences = audiences(ROUTERS)
    app.state.passwords = hashing.Passwords()
    app.state.tries = Tries()
    app.state.proofs = Proofs(app.state.clock)
    app.state.limits = mobile_route.Limits()
    app.state.rosters = Rosters()
    app.state.has_lessons_with = has_lessons_with
    app.state.way = None
    app.state.parents_app = Shell()
    app.state.crowd = Crowd()
    app.state.preparations = Preparations()
    app.state.copying = Copying()
    app.state.roster_turn = asyncio.Lock()
    app.state.templates = web.templates(TEMPLATES)
    app.state.templates.filters["role"] = rules.ROLE_WORDS.__getitem__
    web.install_errors(app)
    app.add_middleware(mobile_route.Headers, proofs=app.state.proofs)
    app.add_middleware(web.Shield)
    app.state.metrics = metrics.Metrics()
    app.add_middleware(metrics.Measured, metrics=app.state.metrics)
    files.serve(app, STATIC, app.state.templates)
    app.router.routes.extend(ROUTES)
    return app


def addresses() -> tuple[tuple[str, str, bool], ...]:
    """Every address of the service: method, path, and whether everybody may see it."""
    found = [(method, route.path, web.declared_audience(route) is None)
             for router in ROUTERS for route in router.routes if isinstance(route, APIRoute) for method in route.methods or ()]
    return tuple(sorted(found))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app.state
    async with AsyncExitStack() as stack:
        stack.enter_context(own_data_folder(state.settings.data))
        refuse_half_restored(state.settings.data)
        await asyncio.to_thread(remove_what_was_killed, state.settings)
        state.keys = state.settings.keys
        await asyncio.to_thread(keys.check_new_or_there, state.keys, state.settings.url)
        state.pepper = hashing.pepper(state.keys)
        state.access_tokens = AccessTokens(token_key(state.keys))
        state.outbox = asyncio.Event()
        state.post = mail.post_of(state.settings)
        state.pusher = push.pusher_of(state.settings)
        state.database = Database(state.settings.url, {
            "clock": state.clock, "subscribers": SUBSCRIBERS, "outbox": state.outbox,
            "signing_key": audit.signing_key(state.keys), "post": state.post, "carrier": push_commands,
            "state": state, "decides_nothing": DECIDES_NOTHING,
        })
        stack.push_async_callback(state.database.close)
        await stack.enter_async_context(state.database.served(**({"settles": 0.0} if state.settings.dev else {})))
        await upgrade.to_newest(state.database, state.keys)
        await known.check(state.database, state.keys)
        await seed_texts(state.database, state.clock)
        state.vault = Vault(state.settings.data, storage_of(state.settings), state.keys)
        await check_signing_keys(state.database, state.vault)
        state.vault.forget_old()
        keycopies.replay(state.keys)
        state.shelf = Shelf()
        state.mover = Mover(state.database, state.vault)
        stack.callback(state.shelf.close)
        await recover_recordings(state.database, state.vault, state.clock)
        await destruction.reconcile(state.database, state.vault, state.clock)
        await _open_rooms(state, stack)
        await _open_desk(state, stack)
        for name, job in _jobs(app):
            task = asyncio.create_task(jobs.keep_running(name, job), name=name)
            stack.push_async_callback(_finish, task)
        yield


async def _open_rooms(state: Any, stack: AsyncExitStack) -> None:
    """Media on its port, then rooms. What an earlier run left open has been sealed before."""
    settings = state.settings
    plane = await Plane.start(
        port=settings.media_port, addresses=_listed(settings.media_addresses) or None,
        public_addresses=_listed(settings.media_public_addresses), clock=state.clock,
    )
    stack.push_async_callback(plane.close)
    state.app_way = AppWay(plane, state.clock)
    state.rooms = open_registry(state, plane)
    public = audit.signing_key(state.keys).public_key()
    state.rooms.self_test_fails = lambda: report.forbids(settings.data, public)
    stack.push_async_callback(state.rooms.close)


async def _open_desk(state: Any, stack: AsyncExitStack) -> None:
    """Calls, over whatever carries them: the family's app while it is open, then the school's trunk or its provider; nothing
    without one of these two. What an earlier run left open is closed as not known.

    What does not open refuses calls, and lessons go on; the page Health says what is wrong.
    """
    def seen(session_id: str) -> None:
        state.seen[session_id] = state.clock.now()

    def telephone() -> Way | None:
        carries: Way | None = state.way
        return carries

    app_first = AppFirst(state.app_way, telephone)

    def way() -> Way | None:
        return app_first if telephone() else None

    if connected := way_of(state.settings):
        state.way = connected
        with suppress(Unavailable):
            await connected.open()
        async with state.database.writing() as session:
            await call_commands.take_number(session, state.pepper, connected.number, state.clock.now())
    state.desk = Desk(state.database, state.clock, state.pepper, way=way, has_lessons_with=state.has_lessons_with, seen=seen)
    await state.desk.begin()
    async with state.database.writing() as session:
        await text_commands.close_what_a_crash_left(session, state.clock.now())
    stack.push_async_callback(state.desk.close)


def _listed(setting: str) -> list[str]:
    return [each.strip() for each in setting.split(",") if each.strip()]


def _jobs(app: FastAPI):  # type: ignore[no-untyped-def]
    state = app.state

    async def sign() -> None:
        await known.note(state.database, state.keys)  # first: a tree that was set back is not signed
        async with state.database.writing() as session:
            await audit.checkpoint(session)

    async def destroy() -> None:
        await destruction.reconcile(state.database, state.vault, state.clock)
        await recovery.apply(state.database, state.vault)

    yield "outbox", lambda: bus.run(state.database, state, SUBSCRIBERS, state.outbox)
    yield "checkpoint", lambda: jobs.every(60, sign)
    async def prepare() -> None:
        await prepare_all(state.database, state.vault, state.clock, state.preparations)

    async def practise() -> None:
        await practice.keep_up(state.database, state.vault, state.clock, state.copying)

    yield "preparations", lambda: jobs.every(60, prepare)
    yield "seen", lambda: jobs.every(10, lambda: keep_seen(state))
    yield "mail", lambda: mail.run(state.database, state.post, state.clock, address)
    yield "push", lambda: push.run(state.database, state.pusher, state.clock)
    yield "escalation", lambda: jobs.every(escalation.EVERY, lambda: escalation.pass_on(state.database, state.clock))
    yield "review", lambda: jobs.every(sweep.EVERY, lambda: sweep.sweep(state.database, state.clock))
    yield "destroyed elsewhere", lambda: jobs.every(forgetting.EVERY, lambda: forgetting.look(state))
    yield "destruction", lambda: jobs.every(60, destroy)
    yield "teaching practice", lambda: jobs.every(60, practise)
    yield "recordings to the store", lambda: jobs.every(60, state.mover.move_sealed)
    yield "reminders", lambda: jobs.every(3_600, lambda: remind(state))
    yield "families", lambda: jobs.every(family_sweep.EVERY, lambda: family_sweep.sweep(state.database, state.clock))
    yield "leadership", lambda: jobs.every(3_600, lambda: tell_leadership(state))
    yield "old mails", lambda: jobs.every(86_400, lambda: mail.clear(state.database, state.clock))
    yield "old answers", lambda: jobs.every(3_600, lambda: mobile_once.clear(state.database, state.clock))
    yield "old notices", lambda: jobs.every(86_400, lambda: push.clear(state.database, state.clock))


async def _finish(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class own_data_folder:
    """Hold the data folder for life: a second process on the same data refuses to start (invariant I8)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self.lock)
            raise Unavailable("Another Chaperone is already using this data folder. Stop it first.") from error

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)
