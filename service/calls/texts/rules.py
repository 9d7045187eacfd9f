"""Which words may be sent as a text, when, and after which call (policy: CM1, CM2, CM5). Pure.

Nobody writes freely: the office keeps the school's texts, in versions, and none of them names a child or a number. A text goes
only to whom a call has just not reached, and only while the rule of calls would let that adult be called.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.calls import rules
from service.calls.progress import Why
from service.calls.rules import Allowed, Facts, Limits, Not
from service.people import telephones

SOON = timedelta(hours=2)
"""How long after a call a text about it still says something."""
LONGEST = 3
"""Parts that a text may have: each is paid for."""
HOME = "English"
NOT_REACHED = frozenset({Why.BUSY, Why.NO_ANSWER, Why.REFUSED, Why.CANCELLED, Why.FAULT, Why.MESSAGE})
"""Ends of a call that rang somebody, and was not ended by a rule or a leader."""
_GSM = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
                 "abcdefghijklmnopqrstuvwxyzäöñüà")
_TWICE = frozenset("^{}\\[~]|€")
"""Letters of a text that count once, and twice (3GPP TS 23.038)."""

NO_TEXTS = Not("text-no-way", "The school’s calls go through a trunk, which carries no texts. Ask the office to write.")
NOT_AFTER = Not("text-not-after", "You can send a text when your call was not answered, for two hours after it.")
ALREADY = Not("text-already", "A text was sent after this call. Call again, or ask the office.")
NO_TEXT = Not("text-template", "Choose which text to send.")


class Status(StrEnum):
    """How far a text is. `ASKED`: written down, and not sent yet; `NOT_KNOWN`: nobody knows whether it was sent."""

    ASKED = "asked"
    NOT_KNOWN = "not-known"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


STATUS_WORDS: dict[str, str] = {
    Status.ASKED: "Being sent", Status.NOT_KNOWN: "Not known whether it was sent", Status.SENT: "Sent",
    Status.DELIVERED: "Delivered", Status.FAILED: "Not delivered",
}
_ORDER = (Status.ASKED, Status.NOT_KNOWN, Status.SENT, Status.DELIVERED)
_SAID = {"accepted": Status.SENT, "queued": Status.SENT, "sending": Status.SENT, "sent": Status.SENT,
         "delivered": Status.DELIVERED, "read": Status.DELIVERED, "undelivered": Status.FAILED, "failed": Status.FAILED}


def status_of(said: str) -> Status | None:
    """What the provider's word means (Twilio's Messages); None for one that we do not know."""
    return _SAID.get(said)


def is_further(now: Status, then: Status) -> bool:
    """Whether a text's state moves on. It never moves back: what was said before changes nothing when it is said again."""
    if now in (Status.DELIVERED, Status.FAILED):
        return False
    return then is Status.FAILED or _ORDER.index(then) > _ORDER.index(now)


@dataclass(frozen=True)
class After:
    """The call that a text follows. `outcome`: what its caller said came of it."""

    why: str
    ended_at: datetime | None
    connected_at: datetime | None
    message_left: bool = False
    outcome: str = ""
    is_text_sent: bool = False

    def was_missed(self, now: datetime) -> bool:
        """Whether it rang, reached nobody, and was over a short time ago."""
        rang = self.why in NOT_REACHED or (self.why == Why.HUNG_UP and self.outcome == "no-answer")
        spoke = self.connected_at is not None and not self.message_left and self.outcome != "no-answer"
        return self.ended_at is not None and now - self.ended_at <= SOON and rang and not spoke


def decide(facts: Facts, limit: Limits, after: After | None, now: datetime, *, has_way: bool) -> Allowed | Not:
    """Whether a text may be sent now: after a call that nobody answered, and only where the rule of calls says yes as well.
    The `about_child` and `to_family` of these facts count texts."""
    if not has_way:
        return NO_TEXTS
    if after is None or not after.was_missed(now):
        return NOT_AFTER
    if after.is_text_sent:
        return ALREADY
    return rules.decide(facts, limit, now)


def parts(words: str) -> int:
    """How many messages a text is sent in: 160 letters in one and 153 in each of more, or 70 and 67 in other scripts."""
    is_gsm = all(letter in _GSM or letter in _TWICE for letter in words)
    size = len(words) + sum(letter in _TWICE for letter in words) if is_gsm else len(words.encode("utf-16-be")) // 2
    one, more = (160, 153) if is_gsm else (70, 67)
    return 1 if size <= one else -(-size // more)


def _plain(words: str) -> str:
    """Letters and single spaces: however somebody writes an apostrophe, a hyphen or an accent."""
    letters = re.sub(r"[-‐‑–]", " ", unicodedata.normalize("NFKD", words).casefold())
    return " ".join("".join(each for each in letters if each.isalnum() or each.isspace()).split())


def problems(title: str, language: str, words: str, children: frozenset[str]) -> dict[str, str]:
    """Words for every box that lacks something. `children`: every child of the school, as it is written in full."""
    wrong = {}
    if not 3 <= len(title) <= 80:
        wrong["title"] = "Say what the text is for, in 80 letters or fewer"
    if not re.fullmatch(r"[^\W\d_][^\d<>&\"]{1,39}", language):
        wrong["language"] = "Enter the language as the roster says it, like English or Bengali"
    if len(words) < 10:
        wrong["words"] = "Write what the family reads"
    elif parts(words) > LONGEST:
        wrong["words"] = "Write less: at most 459 letters, or 201 in scripts such as Bengali or Arabic"
    elif telephones.is_in(words):
        wrong["words"] = "Leave telephone numbers out. Families see the school’s number"
    elif re.search(r"://|www\.|\b[\w-]+\.[a-z]{2,}\b", words, re.I):
        wrong["words"] = "Leave links out: families learn not to press links in texts"
    elif any(_plain(name) in _plain(words) for name in children):
        wrong["words"] = "Leave children’s names out"
    return wrong
