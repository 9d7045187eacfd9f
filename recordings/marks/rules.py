"""What a note and a clip have to say. Pure. policy: RE1, RE4, RC3."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.foundation.errors import Invalid

LONGEST_TEXT = 2000
LONGEST_REASON = 200
LONGEST_CONCERN = 40
SHORTEST_CLIP_MS = 1000


def moment(clock: str, zero: datetime, end_ms: int, zone: str) -> int | None:
    """The milliseconds of a recording that begins at `zero` from a time of day, such as “10:22:14”; None where it has none."""
    try:
        asked = time.fromisoformat(clock.strip())
    except ValueError:
        return None
    start = zero.astimezone(ZoneInfo(zone))
    at = start.replace(hour=asked.hour, minute=asked.minute, second=asked.second, microsecond=0)
    if at < start - timedelta(seconds=1):
        at += timedelta(days=1)
    at_ms = max(0, round((at - start).total_seconds() * 1000))
    return at_ms if at_ms <= end_ms + 999 else None


def check_note(at_ms: int | None, text: str, concern: str) -> int:
    """The moment of a note, or `Invalid` with words for the form."""
    wrong = _concern(concern)
    if at_ms is None:
        wrong["at"] = "Enter a time in this recording, such as 10:22:14"
    if not text.strip():
        wrong["text"] = "Write what you saw or heard"
    elif len(text) > LONGEST_TEXT:
        wrong["text"] = f"Write no more than {LONGEST_TEXT} characters"
    if wrong or at_ms is None:
        raise Invalid(fields=wrong)
    return at_ms


def check_clip(from_ms: int | None, to_ms: int | None, reason: str, concern: str) -> tuple[int, int]:
    """The range of a clip, or `Invalid` with words for the form."""
    wrong = _concern(concern)
    if from_ms is None:
        wrong["from"] = "Enter when it starts, such as 10:22:14"
    if to_ms is None:
        wrong["to"] = "Enter when it ends, such as 10:23:00"
    elif from_ms is not None and to_ms - from_ms < SHORTEST_CLIP_MS:
        wrong["to"] = "Enter an end that is after the start"
    if not reason.strip():
        wrong["reason"] = "Say why this part matters"
    elif len(reason) > LONGEST_REASON:
        wrong["reason"] = f"Write no more than {LONGEST_REASON} characters"
    if wrong or from_ms is None or to_ms is None:
        raise Invalid(fields=wrong)
    return from_ms, to_ms


def _concern(concern: str) -> dict[str, str]:
    if len(concern.strip()) <= LONGEST_CONCERN:
        return {}
    return {"concern": f"Enter the concern number as it is written, up to {LONGEST_CONCERN} characters"}
