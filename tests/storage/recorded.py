"""Sealed recordings of any size in a moment: whole, signed, and of random sound."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import select

from recordings import commands, seal
from recordings.commands import Begun, LessonFacts
from recordings.format import Chain, Flag, Kind, as_json, preamble
from recordings.writer import Durable
from service.foundation.events import system
from service.people.tables import School

TRACK = {"track": 1, "id": "t1", "person": "p1", "source": "microphone", "codec": "opus"}


async def begin(state: Any, lesson_id: str) -> Begun:
    """The first part of a lesson's recording, with nothing in it yet."""
    clock = state.clock
    async with state.database.writing() as session:
        school_id = (await session.exec(select(School.id))).first()
        now = clock.now()
        facts = LessonFacts(lesson_id, "Synthetic", "5 Oak", now - timedelta(hours=1), now)
        return await commands.begin(session, system(school_id), facts, vault=state.vault, clock=clock)


def write(begun: Begun, sizes: Sequence[int], notes: Sequence[dict[str, object]] = (), until: int | None = None) -> Durable:
    """Chunks of `sizes` bytes of random sound, one a second, and the notes. `until`: cut the file there."""
    first = preamble(begun.header)
    chain, size = Chain(begun.key, first), len(first)
    begun.path.parent.mkdir(parents=True, exist_ok=True)
    with open(begun.path, "wb") as file:
        file.write(first)
        for record in _records(chain, sizes, notes):
            file.write(record)
            size += len(record)
        if until is not None:
            file.truncate(until)
    return Durable(0.0, chain.tree.size, chain.tree.root(), chain.previous, size, len(sizes) * 1000)


def _records(chain: Chain, sizes: Sequence[int], notes: Sequence[dict[str, object]]):  # type: ignore[no-untyped-def]
    yield chain.chunk(Kind.TRACK, as_json(TRACK), track=1)
    if notes:
        yield chain.chunk(Kind.NOTES, as_json(list(notes)))
    for second, size in enumerate(sizes):
        span = (second * 1000, second * 1000 + 980)
        yield chain.chunk(Kind.CLUSTER, os.urandom(size), track=1, span=span, flags=Flag.KEY)


async def sealed(
    state: Any, lesson_id: str, sizes: Sequence[int] = (1000,) * 5, notes: Sequence[dict[str, object]] = ()
) -> Begun:
    """A recording of one part, sealed and ended."""
    begun = await begin(state, lesson_id)
    durable = write(begun, sizes, notes)
    now = state.clock.now()
    words = seal.manifest(begun.header, durable, sealed_at=now, outcome="complete", reason="", signer=begun.signer)
    seal.append(begun.path, words, durable.previous)
    async with state.database.writing() as session:
        chaperone = system(begun.header.school_id)
        await commands.seal_part(session, chaperone, words, now=now)
        await commands.end(session, chaperone, recording_id=begun.header.recording_id, now=now)
    return begun
