"""What a process forgets of a recording in the turn in which it is destroyed: its key, and what was read with it (policy: RE2).

Nothing here waits. The database says first that destruction has begun, then that the keys are gone; each time what is open is
shut, and after the second nothing can be opened any more.
"""

from typing import Any

from recordings import review
from recordings.ending.events import DestructionBegun
from recordings.events import RecordingKeyDestroyed
from service.foundation.events import Actor


def forget_key(state: Any, event: DestructionBegun | RecordingKeyDestroyed, actor: Actor) -> None:
    """Overwrite the key where somebody watches the recording, where it is copied for teaching practice, and where it is prepared,
    whose decoder is killed."""
    review.forget(state.shelf, event.recording_id, is_gone=isinstance(event, RecordingKeyDestroyed))
    state.preparations.forget(event.recording_id)
    state.copying.forget(event.recording_id)
