"""What a person is asked to prove themselves for: one action, described exactly. Pure.

Step-up binds a proof of identity to the SHA-256 of the action's canonical description, so that a proof given
for one thing is worth nothing for another (threat T5).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from service.foundation.errors import Invalid

GRANT_LASTS = timedelta(seconds=60)
CHALLENGE_LASTS = timedelta(seconds=60)
ENROLMENT_LASTS = timedelta(minutes=5)
REST = timedelta(hours=24)
Value = str | int | bool | datetime | None | Sequence[str]


class NotConfirmed(Invalid):
    """We could not check it was you. Nothing has changed."""

    code = "not-confirmed"

    def __init__(self, why: str = "wrong", message: str | None = None):
        words = message or REFUSALS[why]
        super().__init__(words, fields={"step_up": words})
        self.why = why


REFUSALS = {
    "absent": "Show that it is you. Nothing has changed.",
    "wrong": "We could not check it was you. Nothing has changed.",
    "used-code": "This code was used already. Wait for the next one. Nothing has changed.",
    "locked": "Too many tries. Wait 15 minutes. Nothing has changed.",
    "other-action": "This has changed since you opened it. Read it again, then confirm.",
    "over": "That took a while. Confirm again. Nothing has changed.",
    "used": "This was confirmed already. Look whether it is done before you do it again.",
    "resting": "How you prove who you are was new less than a day ago. Use what you had before, or wait until it is a day old.",
    "cloned": "This passkey seems to have been copied, so it has stopped. Nothing has changed. Tell the office.",
}


@dataclass(frozen=True)
class Action:
    """Exactly what somebody is about to do.

    `kind`: a fixed word, such as `approve-one-to-one`. `fields`: everything that the decision is about, ids and versions
    rather than names; lists in a fixed order. `words` end the sentence “You are about to …”, and are not hashed: put what
    they say into `fields`.
    """

    kind: str
    words: str
    fields: Mapping[str, Value]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical description, in hexadecimal."""
        return sha256(self.canonical.encode()).hexdigest()

    @property
    def canonical(self) -> str:
        """JSON with sorted names and no spaces, so that the same action always reads the same."""
        fields = {name: _plain(value) for name, value in self.fields.items()}
        return json.dumps({"kind": self.kind, "fields": fields}, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Value) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, str | int) else list(value)


@dataclass(frozen=True)
class Grant:
    """What a proof earned: one action, once, for one person in one session, until `expires_at`."""

    person_id: str
    session_id: str
    action_hash: str
    expires_at: datetime
    is_used: bool


def refusal(grant: Grant, *, person_id: str, session_id: str, action_hash: str, now: datetime) -> str:
    """Why the grant does not allow this action, as a key of `REFUSALS`; empty when it does."""
    checks = (
        ("wrong", grant.person_id == person_id and grant.session_id == session_id and bool(session_id)),
        ("other-action", grant.action_hash == action_hash),
        ("used", not grant.is_used),
        ("over", now < grant.expires_at),
    )
    return next((why for why, holds in checks if not holds), "")


def rests_until(*, is_proven: bool, is_live: bool, now: datetime) -> datetime:
    """From when a new password, passkey or set of one-time codes may confirm anything.

    At once when the person confirmed adding it with what they had before. Otherwise a day later: whoever reset somebody
    else's account, or found it open, cannot approve anything as them before they have noticed (threat T5). A school that is
    not live yet has no children to protect, and cannot wait a day to be set up.
    """
    return now if is_proven or not is_live else now + REST


def is_cloned(kept: int, given: int) -> bool:
    """Whether a passkey's counter shows that a copy of it exists (WebAuthn level 3, section 6.1.1).

    Passkeys that are synchronised always say 0, which says nothing.
    """
    return (kept > 0 or given > 0) and given <= kept
