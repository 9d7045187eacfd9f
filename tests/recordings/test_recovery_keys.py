"""Who else may open recordings is what two people decided last, whatever wrapped the keys again in the meantime.

policy: AC4, AC6, RE2
"""

import asyncio
import threading
from typing import Any

import pyrage
import pytest
from sqlmodel import select

from recordings.ending import recovery
from recordings.ending.tables import RecoveryRecipient
from recordings.keystore import KeyMissing, KeyStore
from tests.proofs import with_session
from tests.recordings.ends import recordings
from tests.school import Running


class Slow:
    """The first bringing of records to a list waits, before its first record, until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.waits, self.go_on, rewrap = asyncio.Event(), threading.Event(), KeyStore.rewrap
        loop, first = asyncio.get_running_loop(), iter([True])

        def slow(store: KeyStore, *given: Any, **more: Any) -> int:
            if next(first, False):
                loop.call_soon_threadsafe(self.waits.set)
                assert self.go_on.wait(60)
            return rewrap(store, *given, **more)

        monkeypatch.setattr(KeyStore, "rewrap", slow)


@pytest.mark.parametrize("meanwhile", ["ended", "agreed"])
@pytest.mark.parametrize("slow", ["rotation", "job"])
async def test_a_recovery_key_that_is_decided_while_records_are_wrapped_again_counts_for_every_record(
    school: Running, monkeypatch: pytest.MonkeyPatch, slow: str, meanwhile: str
) -> None:
    """Also where the job obeyed the decision already, and what was slow comes after it with what it read before."""
    [kept] = await recordings(school, 1)
    state, identity = school.app.state, pyrage.x25519.Identity.generate()
    technician, dsl = await with_session(school, "technician"), await with_session(school, "dsl")
    store = state.vault.key_store(dsl.school_id)

    async def decide(ended: bool) -> None:
        async with school.database.writing() as session:
            if not ended:
                session.add(RecoveryRecipient(school_id=dsl.school_id, name="Safe", public_key=str(identity.to_public()),
                                              asked_by=technician.person_id, asked_at=school.clock.now()))
                await session.flush()
            row = (await session.exec(select(RecoveryRecipient).where(RecoveryRecipient.name == "Safe"))).one()
            if ended:
                await recovery.end(session, dsl, row.id, now=school.clock.now())
            else:
                row.decided_by, row.decided_at, row.agreed, row.applied = dsl.person_id, school.clock.now(), True, False

    if meanwhile == "ended":
        await decide(ended=False)
        await recovery.apply(school.database, state.vault)
        assert store.recover(kept.part, str(identity)) == kept.key, "negative control: it opens it before"
    held = Slow(monkeypatch)
    if slow == "job":
        async with school.database.writing() as session:
            session.add(RecoveryRecipient(school_id=dsl.school_id, name="Asked and refused", public_key="age1", asked_by="p",
                                          asked_at=school.clock.now(), ended_at=school.clock.now(), applied=False))
    work = (recovery.rotate(school.database, state.vault, technician) if slow == "rotation"
            else recovery.apply(school.database, state.vault))
    running = asyncio.create_task(work)
    async with asyncio.timeout(60):
        await held.waits.wait()
    await decide(ended=meanwhile == "ended")
    await recovery.apply(school.database, state.vault)
    held.go_on.set()
    await running
    await recovery.apply(school.database, state.vault)
    if meanwhile == "ended":
        with pytest.raises(KeyMissing):
            store.recover(kept.part, str(identity))
    else:
        assert store.recover(kept.part, str(identity)) == kept.key
