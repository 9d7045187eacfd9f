"""One run: make the synthetic school, put every question at once, each to a lesson of its own, and close the school again."""

import asyncio
import fcntl
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from recordings.vault import Vault
from service.foundation.clock import Clock
from service.foundation.db import Database
from service.foundation.errors import Unavailable
from service.selftest.emptying import emptied
from service.selftest.questions import QUESTIONS, Question
from service.selftest.report import FOLDER, Answer, Outcome, Report
from service.selftest.school import SyntheticSchool, lesson_is_over, synthetic_school
from service.selftest.stage import Findings, NotShown, Stage

LONGEST = 40.0
"""Seconds for the questions; with opening and closing the school a run stays under a minute."""
CLOSING = 8.0
NOT_SHOWN = "Not shown."


class AlreadyRunning(Unavailable):
    """A self-test is running on this data folder already. Wait a minute."""


class NotAnswering(Unavailable):
    """The service does not answer. Start it, or give the address that people type with --url."""


@dataclass(frozen=True)
class Asked:
    """What a run needs. `addresses`: method, path and whether everybody may see it, of every route. `progress` is told what
    happens, in a line each."""

    url: str
    database: Database
    clock: Clock
    vault: Vault
    data: Path
    addresses: tuple[tuple[str, str, bool], ...]
    questions: tuple[Question, ...] = QUESTIONS
    progress: Callable[[str], None] = lambda line: None


async def run(asked: Asked) -> Report:
    """Put the questions. Raises NotAnswering or AlreadyRunning; whatever else goes wrong is an answer that is not shown."""
    began, at = time.monotonic(), asked.clock.now()
    with _alone(asked.data):
        headers = {"origin": asked.url}
        async with httpx.AsyncClient(base_url=asked.url, headers=headers, timeout=10, verify=_trust(asked.url)) as client:
            await _answers(client)
            asked.progress(f"Asking {asked.url}: {len(asked.questions)} questions, less than a minute.")
            await emptied(asked.database)
            school = await synthetic_school(asked.database, asked.clock, asked.vault)
            try:
                answers = await _ask(asked, client, school)
            finally:
                await _close(asked, school)
    asked_all = {question.id for question in asked.questions} == {question.id for question in QUESTIONS}
    return Report(at, round(time.monotonic() - began, 1), asked.url, asked_all, answers)


def _trust(url: str) -> ssl.SSLContext | bool:
    """The certificates that this machine trusts: a school whose certificate is wrong fails here as it does in a browser."""
    return ssl.create_default_context() if url.startswith("https:") else True


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    (data / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(data / FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AlreadyRunning() from error
    finally:
        os.close(lock)


async def _answers(client: httpx.AsyncClient) -> None:
    try:
        (await client.get("/readyz")).raise_for_status()
    except httpx.HTTPError as error:
        raise NotAnswering(f"{NotAnswering.__doc__} ({type(error).__name__}: {error})") from error


async def _ask(asked: Asked, client: httpx.AsyncClient, school: SyntheticSchool) -> tuple[Answer, ...]:
    await school.open()
    stages = [
        Stage(asked.url, client, school, asked.vault, await school.lesson(question.id, question.more), asked.addresses)
        for question in asked.questions
    ]
    ends_at = time.monotonic() + LONGEST
    return tuple(await asyncio.gather(
        *(_put(asked, question, stage, ends_at) for question, stage in zip(asked.questions, stages, strict=True))))


async def _put(asked: Asked, question: Question, stage: Stage, ends_at: float) -> Answer:
    """One question's answer. Nothing that breaks on the way passes for a right one."""
    found, not_shown = Findings(), ""
    try:
        async with asyncio.timeout(ends_at - time.monotonic()):
            await question.ask(stage, found)
    except NotShown as missing:
        not_shown = str(missing)
    except TimeoutError:
        not_shown = "It took too long."
    except Exception as error:
        not_shown = f"Something broke ({type(error).__name__}: {error})."
    finally:
        with suppress(Exception):
            await stage.close()
    answer = _answer(question, found, not_shown)
    asked.progress(f"{question.words} {answer.answer}{'' if answer.is_shown else ' ' + '!' * 3}")
    return answer


def _answer(question: Question, found: Findings, not_shown: str) -> Answer:
    how = tuple(dict.fromkeys(sentence for sentence in found.how if sentence))
    if found.faults:
        return Answer(question.id, question.words, question.wrong, Outcome.WRONG, (*found.faults, *how), found.measured,
                      question.policy)
    if not_shown:
        return Answer(question.id, question.words, NOT_SHOWN, Outcome.NOT_SHOWN, (not_shown, *how), found.measured,
                      question.policy)
    right = question.right.format(**found.measured)
    return Answer(question.id, question.words, right, Outcome.SHOWN, how, found.measured, question.policy)


async def _close(asked: Asked, school: SyntheticSchool) -> None:
    """Close the school, once its lessons are over; what is left waits for the next run."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING):
            await asyncio.gather(*(lesson_is_over(asked.database, lesson.lesson_id) for lesson in school.classes))
    await school.close()
