"""What families are told, in which words, and what a month of lessons uses. Pure. policy: IN2, RL11"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from lessons.rules import PICTURE_MB_A_MINUTE
from service.foundation.errors import Invalid
from service.safeguarding.rules import ANSWER_WORDS

LATE, STILL_NEWS = timedelta(minutes=5), timedelta(minutes=20)
"""How long a lesson has been on when the family of a child who has not come is told, and until when that helps anybody."""
CHOICES_MB = (500, 1000, 2000)


class News(StrEnum):
    """What can happen that a family is told of in the app. The push and the mail say none of it."""

    LESSON_STOPPED = "lesson-stopped"
    ADULT_CHANGED = "adult-changed"
    LESSON_MOVED = "lesson-moved"
    LESSON_CANCELLED = "lesson-cancelled"
    NOT_JOINED = "not-joined"
    WATCHED = "watched"
    PERMISSION_ENDED = "permission-ended"
    ONE_TO_ONE = "one-to-one"
    ONE_TO_ONE_ENDED = "one-to-one-ended"
    INCIDENT = "incident"
    NEW_PHONE = "new-phone"
    SIGNED_OUT = "signed-out"
    REPLY_READ = "reply-read"
    REPLY_TALK = "reply-talk"
    REPLY_DONE = "reply-done"


WORDS = {
    News.LESSON_STOPPED: "The school stopped {child}’s lesson and will be in touch.",
    News.ADULT_CHANGED: "Another teacher takes {child}’s lesson.",
    News.LESSON_MOVED: "{child}’s lesson was moved.",
    News.LESSON_CANCELLED: "{child}’s lesson will not take place.",
    News.NOT_JOINED: "{child} did not join a lesson in its first minutes.",
    News.WATCHED: "Somebody at the school watched a recording of {child}’s lesson.",
    News.PERMISSION_ENDED: "A permission for {child} changed.",
    News.ONE_TO_ONE: "A one-to-one lesson for {child} was approved. It needs your answer.",
    News.ONE_TO_ONE_ENDED: "The approval for {child}’s one-to-one lesson has ended.",
    News.INCIDENT: "There is something about {child} that the school wants to talk to you about. Ring the office.",
    News.NEW_PHONE: "A new phone was added to your account. If you did not expect this, ring school.",
    News.SIGNED_OUT: "A phone was signed out, because its sign-in was used twice. If you did not expect this, ring school.",
    **{News(answer): said for answer, said in ANSWER_WORDS.items()},
}


def words(kind: str, child: str) -> str:
    return WORDS[News(kind)].format(child=child or "Your child")


def is_late(starts_at: datetime, started_at: datetime, now: datetime) -> bool:
    """Whether families are told now who has not come: from when it was both planned and on, so that nobody is late for a teacher
    who is (N5)."""
    return LATE <= now - max(starts_at, started_at) < STILL_NEWS


def month_of(now: datetime, zone: str) -> date:
    """The first day of the month that it is at the school."""
    return now.astimezone(ZoneInfo(zone)).date().replace(day=1)


def used_mb(lengths: Iterable[timedelta]) -> int:
    """About what so much time in lessons uses, with pictures: what a family may have to pay for, so rather too much."""
    return round(sum(length.total_seconds() for length in lengths) / 60 * PICTURE_MB_A_MINUTE)


def check_limit(limit_mb: int | None) -> None:
    if limit_mb is not None and limit_mb not in CHOICES_MB:
        raise Invalid(fields={"limit_mb": "Choose 500 MB, 1 GB, 2 GB or no limit"})
