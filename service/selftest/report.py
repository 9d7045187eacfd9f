"""What the self-test found: answers with their evidence, signed and dated, as JSON for machines and HTML for people.

One file is one signed note over the canonical JSON (RFC 8785) of the report; the HTML holds that note and is nothing but
its JSON in words, so both verify offline with the installation's public key and neither can be changed.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.foundation.errors import SafeguardError
from service.foundation.web import say_day, say_time

ORIGIN = "chaperone/selftest"
FORMAT = 1
FOLDER = "selftest"
LATEST = "latest.json"
_HELD = re.compile(r'<pre id="signed">(.*?)</pre>', re.S)


class ReportChanged(SafeguardError):
    """This report is not what was signed, or another installation signed it."""

    code = "report-changed"


class Outcome(StrEnum):
    """`shown`: the answer is as it must be, with evidence. `wrong`: it is not. `not-shown`: the question could not be put."""

    SHOWN = "shown"
    WRONG = "wrong"
    NOT_SHOWN = "not-shown"


@dataclass(frozen=True)
class Answer:
    """One question and what was found. `how`: what was tried and seen, one sentence each; no names of anybody.

    `measured`: numbers by name, seconds unless the name says otherwise.
    """

    id: str
    question: str
    answer: str
    outcome: Outcome
    how: tuple[str, ...]
    measured: dict[str, float] = field(default_factory=dict)
    policy: str = ""

    @property
    def is_shown(self) -> bool:
        return self.outcome is Outcome.SHOWN


@dataclass(frozen=True)
class Report:
    """`at`: when it began. `asked_all`: whether every question was put. `where`: the address it was put to."""

    at: datetime
    seconds: float
    where: str
    asked_all: bool
    answers: tuple[Answer, ...]

    @property
    def is_passed(self) -> bool:
        return bool(self.answers) and all(answer.is_shown for answer in self.answers)

    def words(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "format": FORMAT, "at": self.at.isoformat(), "seconds": self.seconds, "where": self.where,
            "asked_all": self.asked_all, "passed": self.is_passed,
            "answers": [{**asdict(answer), "how": list(answer.how)} for answer in self.answers],
        }


def read(words: dict[str, Any]) -> Report:
    """A report from its JSON. Raises ReportChanged for anything else."""
    try:
        answers = tuple(
            Answer(one["id"], one["question"], one["answer"], Outcome(one["outcome"]), tuple(one["how"]), one["measured"],
                   one["policy"])
            for one in words["answers"]
        )
        return Report(datetime.fromisoformat(words["at"]), words["seconds"], words["where"], words["asked_all"], answers)
    except (KeyError, TypeError, ValueError) as error:
        raise ReportChanged() from error


# -- signing ----------------------------------------------------------------------------------------------------------


def signed(report: Report, key: Ed25519PrivateKey) -> str:
    """The report's file: its JSON, and a signed note (C2SP signed-note) of its SHA-256."""
    words = report.words()
    body = _note_body(words)
    public = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_id(public) + key.sign(body.encode())).decode()
    note = f"{body}\n— {ORIGIN} {signature}\n"
    return json.dumps({"report": words, "note": note}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def verified(text: str, public: Ed25519PublicKey) -> Report:
    """The report in a signed file, JSON or HTML, of the installation whose key `public` is. Raises ReportChanged."""
    held = _HELD.search(text)
    kept = html.unescape(held[1]) if held else text
    try:
        words, note = (found := json.loads(kept))["report"], found["note"]
        body, line = note.split("\n\n")
        _dash, name, encoded = line.strip().split(" ")
        signature = base64.b64decode(encoded, validate=True)
        if name != ORIGIN or body + "\n" != _note_body(words) or signature[:4] != key_id(public.public_bytes_raw()):
            raise ReportChanged()
        public.verify(signature[4:], (body + "\n").encode())
    except (ValueError, KeyError, TypeError, InvalidSignature) as error:
        raise ReportChanged() from error
    report = read(words)
    if held and as_html(kept) != text:
        raise ReportChanged()
    return report


def _note_body(words: dict[str, Any]) -> str:
    digest = hashlib.sha256(rfc8785.dumps(words)).digest()
    return f"{ORIGIN}\n{words['at']}\n{base64.b64encode(digest).decode()}\n"


def key_id(public: bytes) -> bytes:
    return hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]


# -- for people -------------------------------------------------------------------------------------------------------


def as_html(file: str) -> str:
    """The signed file as one page that needs nothing else: its words, and itself to be checked."""
    environment = Environment(loader=PackageLoader("service.selftest"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    report = read(json.loads(file)["report"])
    return environment.get_template("report.html").render(
        report=report, when=f"{say_day(report.at)} {report.at.year}, {say_time(report.at)}", file=file, Outcome=Outcome)


def in_words(answers: Iterable[Answer]) -> str:
    """For a terminal: each question, its answer and how."""
    return "\n".join(line for answer in answers for line in (
        f"{MARKS[answer.outcome]} {answer.question} {answer.answer}", *(f"    {sentence}" for sentence in answer.how)))


MARKS = {Outcome.SHOWN: "passed", Outcome.WRONG: "FAILS ", Outcome.NOT_SHOWN: "NOT SHOWN"}


# -- kept -------------------------------------------------------------------------------------------------------------


def keep(data: Path, file: str, at: datetime) -> tuple[Path, Path]:
    """Put the files where the service finds the latest and nobody else reads them. Returns the JSON's and the HTML's."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = at.strftime("%Y-%m-%dT%H%M%SZ")
    paths = folder / f"{name}.json", folder / f"{name}.html"
    for path, text in (*zip(paths, (file, as_html(file)), strict=True), (folder / LATEST, file)):
        aside = folder / f"{path.name}.new"
        aside.write_text(text)
        aside.replace(path)  # the running service reads whole reports only
    return paths


def forbids(data: Path, public: Ed25519PublicKey) -> bool:
    """Whether no lesson may start: a signed report had a wrong answer, and no report since has passed.

    A report that could not show everything decides neither way; one that was changed where it lies is no passed one. Without
    any report nothing is known to be wrong.
    """
    for path in sorted((data / FOLDER).glob("[0-9]*.json"), reverse=True):
        try:
            found = verified(path.read_text(), public)
        except (ReportChanged, FileNotFoundError):
            return True
        if found.is_passed:
            return False
        if any(answer.outcome is Outcome.WRONG for answer in found.answers):
            return True
    return False


def latest(data: Path) -> str | None:
    """The signed file of the last whole run; None before the first."""
    try:
        return (data / FOLDER / LATEST).read_text()
    except FileNotFoundError:
        return None
