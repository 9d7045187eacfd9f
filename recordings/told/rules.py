"""Which views of a recording families are told of. Pure. policy: RE1, IN4

Told is what can tell nobody that a concern exists. A view for a concern or for the police, of a recording that is or was on
hold, or of a lesson that a concern is about, stays hidden until the safeguarding lead releases it; in doubt it is hidden.
"""

from dataclasses import dataclass

PRACTICE = "practice"
"""Why a recording for teaching practice was watched: nothing else is a reason there, and nothing hides it."""
PLAIN = frozenset({"flag", "complaint"})


@dataclass(frozen=True)
class View:
    """What hiding depends on."""

    why: str
    concern: str
    was_held: bool
    has_concern: bool
    is_released: bool


def is_told(view: View) -> bool:
    plain = view.why in PLAIN and not view.concern.strip() and not view.was_held and not view.has_concern
    return view.is_released or plain
