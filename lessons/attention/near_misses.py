"""What of a lesson somebody must review afterwards, from its journal alone. Pure: whoever reads the journal again finds the
same, so nothing is missed when a process died and nothing is found twice (policy: RL1, RL6)."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.safeguarding.rules import Kind

ALONE = "lone-adult"
PAUSES = {
    "approval-ended": "the approval for the one-to-one had ended", "no-adult": "no adult was in it",
    "not-recorded": "recording had stopped", "not-permitted": "a permission was missing",
}
"""Holds that somebody looks into, the first of a pause counts. The end of its time and a leader's stop are no near miss."""


@dataclass(frozen=True)
class Entry:
    """One entry of a journal. `reasons`: of a hold."""

    kind: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What happened `times`, in words without a name."""

    kind: Kind
    times: int
    words: str


def of_journal(entries: Iterable[Entry]) -> list[Found]:
    """Pauses in which an adult would have been alone, other pauses, and chat that was held back; each once, with its number."""
    pauses: list[list[str]] = []
    is_open = is_paused = False
    held_back = 0
    for entry in entries:
        if entry.kind == "opened":
            is_open, is_paused = True, False
        elif entry.kind == "held" and is_open:
            is_open, is_paused = False, True
            pauses.append(list(entry.reasons))
        elif entry.kind == "held" and is_paused:
            pauses[-1] += entry.reasons
        elif entry.kind == "ended":
            is_open = is_paused = False
        held_back += entry.kind == "chat-held"
    return [one for one in (_alone(pauses), _paused(pauses), _chat(held_back)) if one is not None]


def _alone(pauses: list[list[str]]) -> Found | None:
    times = sum(ALONE in reasons for reasons in pauses)
    words = f"The lesson was paused {_times(times)} because an adult would have been alone with one pupil. Nothing passed."
    return Found(Kind.NEARLY_ALONE, times, words) if times else None


def _paused(pauses: list[list[str]]) -> Found | None:
    why = [next((PAUSES[each] for each in reasons if each in PAUSES), "") for reasons in pauses if ALONE not in reasons]
    why = [each for each in why if each]
    words = f"The lesson was paused {_times(len(why))}: {'; '.join(dict.fromkeys(why))}. Nothing passed."
    return Found(Kind.PAUSED, len(why), words) if why else None


def _chat(times: int) -> Found | None:
    messages = "message was" if times == 1 else "messages were"
    words = f"{times} {messages} held back from the class and shown to its staff. The recording has the words."
    return Found(Kind.CHAT, times, words) if times else None


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
