"""Whatever can end may have ended after a back-up was made. A restore ends it, or it is said here why that is not needed."""

import importlib
import re

from sqlmodel import SQLModel

from tests.architecture.files import ROOT

ENDS = re.compile(r"(revoked|ended|used|expires|lifted|withdrawn|stopped)_(at|on)")
ENDED_BY_A_RESTORE = {"sign_in", "step_up_grant", "password_reset", "approval", "guest_pass", "guest_link", "calendar_feed",
                      "recording_grant", "phone_invitation", "personal_phone", "practice_plan"}
LEFT = {
    "approved_platform": "on the page: entered again by hand",
    "badge": "on the page: entered again by hand",
    "call": "the start closes what was open as not known",
    "consent_request": "families are told once more that a question waits; the office ends it again",
    "dbs_check": "on the page: entered again by hand",
    "passkey": "on the page: entered again by hand",
    "practice_view": "works only in the sign-in that it was given to",
    "phone_refresh": "ends with its sign-in",
    "recovery_recipient": "on the page: entered again by hand",
    "lesson": "its end is its journal's, and its room opens only inside its time",
    "recording": "the start seals what was open",
    "recording_view": "works only in the sign-in that it was given to",
    "safeguarding_mark": "lifting one opens something; the mark stands until it is lifted again",
    "word_list_version": "a list that is over gives way to the one before",
}


def test_a_restore_ends_everything_that_can_end_or_says_why_not() -> None:
    named = re.search(r"TABLES = \((.*?)\)", (ROOT / "service/migrations/env.py").read_text(), re.S)
    assert named
    for module in re.findall(r'"([a-z_.]+)"', named[1]):
        importlib.import_module(module)
    tables = SQLModel.metadata.sorted_tables
    can_end = {table.name for table in tables if any(ENDS.fullmatch(each.name) for each in table.columns)}
    assert can_end == ENDED_BY_A_RESTORE | set(LEFT)
    assert not ENDED_BY_A_RESTORE & set(LEFT)
