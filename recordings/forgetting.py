"""What a process forgets of a recording when it is destroyed, by itself or by another: the key, and what was read with it.

Whoever destroys forgets in that turn, and does not wait: the database says first that destruction has begun, then that the keys
are gone; each time what is open is shut, and after the second nothing can be opened any more. Every other process asks the
database, each second and before each answer that was made of a recording (policy: RE2; docs/decisions: 165).
"""

from typing import Any

from recordings import review
from recordings.ending import queries
from recordings.ending.events import DestructionBegun, HoldStepTaken
from recordings.ending.rules import Step
from recordings.events import RecordingKeyDestroyed
from recordings.review import Review
from recordings.secret import KeyForgotten
from service.foundation.events import Actor

EVERY = 1.0
"""Seconds between two looks at what others have destroyed. No answer waits for them: each looks for itself."""


def forget_key(state: Any, event: DestructionBegun | RecordingKeyDestroyed, actor: Actor) -> None:
    """Overwrite the key where somebody watches the recording, where it is copied for teaching practice, and where it is prepared,
    whose decoder is killed."""
    _forget(state, event.recording_id, is_gone=isinstance(event, RecordingKeyDestroyed))


def set_apart(state: Any, event: HoldStepTaken, actor: Actor) -> None:
    """Evidence is opened for nobody, and nothing is made of it any more: not by what had begun either (policy: RE5)."""
    if event.step == Step.ISOLATED:
        _forget(state, event.recording_id, is_gone=False)


async def look(state: Any) -> None:
    """Forget what is open here and is destroyed in the database: that cannot be taken back, whoever began it."""
    held = state.shelf.held | state.preparations.making.keys() | state.copying.held
    if not held:
        return
    async with state.database.glance() as session:
        gone = await queries.begun_of(session, held)
    for recording_id in gone:
        _forget(state, recording_id, is_gone=True)


async def check_still_there(state: Any, watched: Review) -> None:
    """Raise `KeyForgotten` where what was read may not be sent any more: while it was read its destruction began, or it was set
    apart."""
    await look(state)
    if state.vault.is_isolated(watched.details.school_id, watched.details.id):
        _forget(state, watched.details.id, is_gone=False)
        raise KeyForgotten()
    if any(file.is_forgotten for file in watched.files.values()):
        raise KeyForgotten()


def _forget(state: Any, recording_id: str, *, is_gone: bool) -> None:
    review.forget(state.shelf, recording_id, is_gone=is_gone)
    state.preparations.forget(recording_id)
    state.copying.forget(recording_id)
