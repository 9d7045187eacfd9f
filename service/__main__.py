"""The command line: `chaperone dev | serve | migrate | seed | verify | selftest | chair | calls | backup | restore | restored |
recover`."""

import argparse
import asyncio
import base64
import ctypes
import gc
import json
import os
import resource
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyotp
import structlog
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI

from recordings import proof
from recordings.commands import check_signing_keys
from recordings.storage import storage_of
from recordings.vault import Vault
from service import seed, seed_recording
from service.app import addresses, create_app, own_data_folder
from service.backup import command as backup
from service.calls import check
from service.calls.carrying import way_of
from service.foundation import audit, keys
from service.foundation.bus import Subscribers
from service.foundation.clock import SystemClock
from service.foundation.db import Database
from service.foundation.errors import NotFound, SafeguardError, Unavailable
from service.foundation.keys import KeysAway
from service.foundation.settings import Settings
from service.migrations import upgrade
from service.people import power, queries
from service.selftest import report
from service.selftest import run as selftest
from service.selftest.questions import QUESTIONS
from service.wiring import SUBSCRIBERS


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="chaperone", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    dev = commands.add_parser("dev", help="serve a demo school with sign-in links")
    dev.add_argument("--port", type=int, default=8000)
    dev.add_argument("--data", type=Path, help="keep the demo school here (default: a new one each time)")
    dev.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    dev.add_argument("--seed", type=int, default=7)
    for name, help_text in (("serve", "serve a real school"), ("migrate", "bring the database up to date"),
                            ("seed", "write the demo school into an empty database"),
                            ("verify", "check the audit log and the recordings offline")):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--data", type=Path, default=None)
        if name == "verify":
            command.add_argument("--checkpoint", type=Path, help="a checkpoint that was kept elsewhere")
            command.add_argument("--report", type=Path, help="only check this report of the self-test, JSON or HTML")
            command.add_argument("--public-key", help="the installation's public key (base64), where its data is not at hand")
    chair = commands.add_parser("chair", help="name the chair of governors of a school in which nobody could agree to a role")
    chair.add_argument("email", help="the person's e-mail address, as the office has it")
    chair.add_argument("--data", type=Path, default=None)
    selftest = commands.add_parser("selftest", help="ask the running service what a governor asks, and sign the answers")
    selftest.add_argument("--data", type=Path, default=None, help="the folder that the running service uses")
    selftest.add_argument("--url", default="", help="the address that people type (default: from the settings)")
    selftest.add_argument("--json", action="store_true", help="print the signed report instead of words")
    selftest.add_argument("--only", action="append", choices=[question.id for question in QUESTIONS], default=None,
                          help="put only this question; the report is printed, not kept")
    calls = commands.add_parser("calls", help="check what calls to families go through; rings nobody")
    calls.add_argument("what", choices=["check"])
    backup.arguments(commands)
    given = parser.parse_args(argv)
    os.umask(0o077)  # the database too is nobody else's to read, in whatever folder it was put
    _log_to_stderr()
    commanded = {"dev": _dev, "serve": _serve, "migrate": _migrate, "seed": _seed, "verify": _verify,
                 "selftest": _selftest, "chair": _chair, "calls": _calls, "backup": _backup, "restore": _restore,
                 "restored": _restored, "recover": _recover}
    try:
        return commanded[given.command](given)
    except KeysAway as error:
        print(error, file=sys.stderr)
        return 2


def _log_to_stderr() -> None:
    """One JSON object a line: machines read it, and standard output stays for what a command answers."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"),
                    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def _settings(given: argparse.Namespace, **more: Any) -> Settings:
    return Settings(**({"data": given.data} if given.data else {}), **more)


def _dev(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="chaperone-") as fresh:
        given.data = given.data or Path(fresh)
        settings = _settings(given, port=given.port, dev=True)
        app = create_app(settings)
        _DevServer(app, settings, given).run()
    return 0


SWITCH = 0.0005
"""Seconds after which a thread that waits for the interpreter gets it. The database's threads want it for a moment, some times a
statement; by default they would wait five milliseconds each time while the event loop is busy, and the loop as long for them."""


def settle() -> None:
    """Set the interpreter up for a process that serves. What is loaded by now stays until it ends, so the garbage collector need
    not go through it again: its full rounds would each stop every lesson for half a second (docs/bench.md)."""
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """uvicorn, which when it stops keeps no page waiting for news."""

    def __init__(self, app: FastAPI, config: uvicorn.Config):
        super().__init__(config)
        self.app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.bell.close()
        await super().shutdown(sockets)


class _DevServer(_Server):
    """It seeds the demo school and prints the links once it listens."""

    def __init__(self, app: FastAPI, settings: Settings, given: argparse.Namespace):
        super().__init__(app, uvicorn.Config(
            app, host=settings.host, port=settings.port, log_level="warning", ws="websockets-sansio",
            ws_max_size=256 * 1024, server_header=False,
        ))
        self.given = given

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await self.announce()

    async def announce(self) -> None:
        port = self.servers[0].sockets[0].getsockname()[1]
        base = f"http://localhost:{port}"
        made = await seeded(self.app, self.given.seed)
        links = {secrets.token_urlsafe(12): person["id"] for person in made["people"]}
        self.app.state.dev_links, self.app.state.dev_origin = links, base
        made["demo_proof"] = await demo_proofs(self.app)
        tokens = {person_id: token for token, person_id in links.items()}
        for person in made["people"]:
            person["sign_in_url"] = f"{base}/dev/sign-in/{tokens[person['id']]}"
        print(json.dumps({"base_url": base, **made}) if self.given.json else _table(base, made), flush=True)


async def demo_proofs(app: FastAPI) -> dict[str, str]:
    """Let the demo's staff confirm what they decide: one password and one secret for codes, invented now, known to nobody else.

    The next run invents others. Only this process can show the code, and only to whoever is signed in as that person.
    """
    state, words = app.state, secrets.token_urlsafe(9)
    secret, kept = pyotp.random_base32(), await state.passwords.hash(words)
    async with state.database.writing() as session:
        staff = await seed.give_proofs(session, state.pepper, state.clock.now(), password_hash=kept, secret=secret)
        await seed.give_numbers(session, state.pepper, state.clock.now())
    state.dev_proofs = dict.fromkeys(staff, (words, secret))
    return {"password": words, "one_time_secret": secret}


async def seeded(app: FastAPI, number: int) -> dict[str, Any]:
    """Seed the demo school if the database is empty, and describe it as the contract says."""
    state = app.state
    async with state.database.writing() as session:
        made = await seed.existing(session) or await seed.demo_school(session, state.clock.now(), number)
    await seed_recording.finished_lesson(state.database, state.vault, state.clock)
    return made


def _table(base: str, made: dict[str, Any]) -> str:
    rows = [f"{person['role']:<15} {person['name']:<20} {person['sign_in_url']}" for person in made["people"]]
    proof = f"Staff confirm decisions with the password {made['demo_proof']['password']} and the code that the page shows."
    mails = f"Mails that would be sent: {base}/demo/mail"
    return "\n".join((f"Chaperone serves a demo school at {base}", "", *rows, "", proof, mails, "Stop with Ctrl+C."))


def _serve(given: argparse.Namespace) -> int:
    settings = _settings(given)
    secure = bool(settings.tls_certificate and settings.tls_key)
    if not secure and not settings.trusted_proxy:
        print("Browsers give a camera only over HTTPS. Set CHAPERONE_TLS_CERTIFICATE and CHAPERONE_TLS_KEY, "
              "or CHAPERONE_TRUSTED_PROXY.", file=sys.stderr)
        return 2
    if not secure and (believes_everybody(settings.trusted_proxy) or not settings.origin.startswith("https://")):
        print("CHAPERONE_TRUSTED_PROXY must name the proxy: whoever is believed chooses the address that wrong passwords are "
              "counted by. And CHAPERONE_PUBLIC_URL must be the https:// address that people type.", file=sys.stderr)
        return 2
    try:
        way_of(settings)
    except SafeguardError as invalid:
        print(invalid.message, file=sys.stderr)
        return 2
    app = create_app(settings)
    _RealServer(app, uvicorn.Config(
        app, host=settings.host, port=settings.port, log_level="info", access_log=False,
        ws="websockets-sansio", ws_max_size=256 * 1024, server_header=False,
        ssl_certfile=settings.tls_certificate, ssl_keyfile=settings.tls_key,
        proxy_headers=bool(settings.trusted_proxy), forwarded_allow_ips=settings.trusted_proxy or None,
    )).run()
    return 0


def believes_everybody(trusted_proxy: str) -> bool:
    """Whether this names no proxy, but the whole network."""
    return any(each.strip() == "*" or each.strip().endswith("/0") for each in trusted_proxy.split(","))


class _RealServer(_Server):
    """It says how to set up the school while there is none. The code is only ever in memory and on this console."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            async with self.app.state.database.reading() as session:
                is_new = not await queries.has_school(session)
            if is_new:
                self.app.state.setup_code = secrets.token_urlsafe(12)
                print(f"There is no school here yet. Open {self.app.state.settings.origin}/setup and enter this code: "
                      f"{self.app.state.setup_code}", flush=True)


def _offline(settings: Settings) -> Database:
    keys.check_new_or_there(settings.keys, settings.url)
    info = {"clock": SystemClock(), "subscribers": Subscribers(), "outbox": asyncio.Event(),
            "signing_key": audit.signing_key(settings.keys)}
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Database(settings.url, info)


def _migrate(given: argparse.Namespace) -> int:
    async def run() -> None:
        settings = _settings(given)
        database = _offline(settings)
        await upgrade.to_newest(database, settings.keys)
        await database.close()

    asyncio.run(run())
    return 0


def _seed(given: argparse.Namespace) -> int:
    async def run() -> None:
        settings = _settings(given)
        database = _offline(settings)
        await upgrade.to_newest(database, settings.keys)
        async with database.writing() as session:
            await seed.demo_school(session, SystemClock().now())
        await seed_recording.finished_lesson(database, Vault(settings.data, storage_of(settings), settings.keys), SystemClock())
        await database.close()

    asyncio.run(run())
    return 0


def _verify(given: argparse.Namespace) -> int:
    if given.report:
        return _verify_report(given)

    async def run() -> list[str]:
        settings = _settings(given)
        database = _offline(settings)
        vault = Vault(settings.data, storage_of(settings), settings.keys)
        await check_signing_keys(database, vault)
        kept = given.checkpoint.read_text() if given.checkpoint else None
        async with database.reading() as session:
            faults = await audit.verify(session, audit.signing_key(settings.keys).public_key(), kept)
            faults += await proof.verify(session, vault)
        await database.close()
        return faults

    faults = asyncio.run(run())
    print("\n".join(faults) or "The audit log and the recordings are whole.")
    return 1 if faults else 0


def _verify_report(given: argparse.Namespace) -> int:
    """Whether a report of the self-test is what this installation signed. Needs nothing but a public key."""
    if given.public_key:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(given.public_key))
    else:
        keys.check_there(_settings(given).keys)
        key = audit.signing_key(_settings(given).keys).public_key()
    try:
        found = report.verified(given.report.read_text(), key)
    except report.ReportChanged as changed:
        print(changed)
        return 1
    print(f"This report is genuine. It was made on {found.at.isoformat()} and says that the self-test "
          f"{'passed' if found.is_passed else 'FAILS'}{'' if found.asked_all else ', not having asked everything'}.")
    return 0


def _backup(given: argparse.Namespace) -> int:
    with backup.tidied_up():
        return backup.backup(given, _settings(given), SystemClock())


def _restore(given: argparse.Namespace) -> int:
    settings = _settings(given)
    try:
        with backup.tidied_up(), own_data_folder(settings.data):
            return backup.restore(given, settings, SystemClock(), SUBSCRIBERS)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2


def _restored(given: argparse.Namespace) -> int:
    settings = _settings(given)
    try:
        with own_data_folder(settings.data):
            return backup.restored(settings, SystemClock(), SUBSCRIBERS)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 2


def _recover(given: argparse.Namespace) -> int:
    with backup.tidied_up():
        return backup.recover(given, _settings(given), SystemClock())


def _chair(given: argparse.Namespace) -> int:
    """When one person with power is left: whoever runs the server names the chair, who then agrees to the rest."""
    async def run() -> None:
        settings = _settings(given)
        keys.check_there(settings.keys)
        database = Database(settings.url, {"clock": SystemClock(), "subscribers": SUBSCRIBERS, "outbox": asyncio.Event(),
                                           "signing_key": audit.signing_key(settings.keys)})
        try:
            async with database.writing() as session:
                school = await queries.only_school(session)
                if school is None:
                    raise NotFound("There is not exactly one school here.")
                await power.name_chair(session, school.id, given.email, SystemClock().now())
        finally:
            await database.close()

    try:
        asyncio.run(run())
    except SafeguardError as error:
        print(error, *error.fields.values(), file=sys.stderr)
        return 2
    print("They are chair of governors now. The audit says that the console named them.")
    return 0


def _calls(given: argparse.Namespace) -> int:
    """0: a call could be placed. 1: something stands in its way, in words."""
    found = asyncio.run(check.check(Settings()))
    print("\n".join(f"{'ok   ' if each.is_well else 'FAULT'}  {each.words}" for each in found))
    return 0 if all(each.is_well for each in found) else 1


def _selftest(given: argparse.Namespace) -> int:
    """0: every answer is as it must be. 1: one is not, or could not be shown. 2: the questions could not be put at all."""
    settings = _settings(given)
    keys.check_there(settings.keys)
    key = audit.signing_key(settings.keys)
    questions = tuple(question for question in QUESTIONS if given.only is None or question.id in given.only)

    async def run() -> report.Report:
        database = Database(settings.url, {"clock": SystemClock(), "subscribers": SUBSCRIBERS, "outbox": asyncio.Event(),
                                           "signing_key": key})
        try:
            return await selftest.run(selftest.Asked(
                (given.url or settings.origin).rstrip("/"), database, SystemClock(),
                Vault(settings.data, storage_of(settings), settings.keys),
                settings.data,
                addresses(), questions, lambda line: print(line, file=sys.stderr, flush=True)))
        finally:
            await database.close()

    try:
        found = asyncio.run(run())
    except SafeguardError as error:
        print(error, *error.fields.values(), file=sys.stderr)
        return 2
    file = report.signed(found, key)
    kept = report.keep(settings.data, file, found.at) if found.asked_all else ()
    print(file if given.json else "\n".join((
        "", report.in_words(found.answers), "", *(f"Signed report: {path}" for path in kept),
        f"Public key: {base64.b64encode(key.public_key().public_bytes_raw()).decode()}",
        "Every answer is as it must be." if found.is_passed else "The self-test FAILS. Do not teach here until it passes.",
    )))
    return 0 if found.is_passed else 1


def leave_no_dump() -> None:
    """A core dump of this process would put keys, names and pictures on a disk in clear, so that it leaves none, also where the
    machine pipes dumps to a program; and no other process of the same user reads its memory (threat T22; prctl(2))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


PR_SET_DUMPABLE = 4


if __name__ == "__main__":
    leave_no_dump()
    sys.exit(main())
