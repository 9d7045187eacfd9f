"""What has to be entered again after a restore, and who may say that it is. Pure. policy: CO3, CM1, AC6, AC8."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from service.foundation.errors import Conflict, Invalid
from service.foundation.events import LEADERS, SAFEGUARDING
from service.people.actions import Action

MAY_REOPEN = LEADERS | SAFEGUARDING
ENTER_AGAIN = {
    "consent": ("Permissions that a family withdrew or refused", "/permissions", "The office does this, on Permissions"),
    "contact": ("Court orders, and who may not be told of a child", "/people", "The office does this, on People"),
    "staff": ("Staff and guests who left, lost a role or lost a passkey", "/people", "The office does this, on People"),
    "dbs": ("DBS checks that were withdrawn", "/dbs", "The office does this, on the DBS register"),
    "badges": ("Badges that were lost and replaced", "/classes", "The office does this, on Classes"),
    "recovery": ("Recovery keys that were ended", "/keys", "The headteacher, the DSL or the technician does this, on Keys"),
    "concerns": ("Concerns and incidents that were found to be about an adult who works here", "/concerns",
                 "The safeguarding team does this, on Concerns"),
    "lessons": ("Lessons that were cancelled, and pupils who were taken off one", "/today", "A leader does this, on Today"),
}
"""What closes something, and so must not be forgotten: its page, and words for whoever has no such page. What opens something
may wait: without it, it stays closed."""


class ClosedSinceRestore(Conflict):
    """Lessons are closed. Chaperone was restored from a back-up, and a leader first has to enter again what changed since."""

    code = "closed-since-restore"


class OpenAlready(Conflict):
    """Lessons are open already. Somebody else has confirmed it."""

    code = "open-already"


@dataclass(frozen=True)
class Restoration:
    """From `made_at`, when the back-up was made, until `restored_at` nothing is known."""

    id: str
    made_at: datetime
    restored_at: datetime
    approvals: int
    passes: int


def check_all_entered(entered: Collection[str]) -> None:
    """Raises `Invalid` with words for the first that is not ticked."""
    missing = [name for name in ENTER_AGAIN if name not in entered]
    if missing:
        left = "one line is" if len(missing) == 1 else f"{len(missing)} lines are"
        raise Invalid(fields={missing[0]: f"Enter again what is missing, then tick it: {left} not ticked"})


def reopen_action(restoration: Restoration) -> Action:
    return Action("reopen-lessons", "open lessons again after the restore", {"restoration": restoration.id})
