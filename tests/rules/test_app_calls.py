"""For how long an app is rung, and what ends a call in it."""

import pytest

from mobile_api.calling.rules import Times, ends
from service.calls.way import End

RANG = 1000.0


@pytest.mark.parametrize(("times", "after", "end"), [
    (Times(RANG), 2.9, None),
    (Times(RANG), 3.0, End.NO_ANSWER),
    (Times(RANG, heard=RANG + 1), 14.9, None),
    (Times(RANG, heard=RANG + 1), 15.0, End.NO_ANSWER),
    (Times(RANG, heard=RANG + 1, taken=RANG + 14), 19.9, None),
    (Times(RANG, heard=RANG + 1, taken=RANG + 14), 20.0, End.NO_ANSWER),
    (Times(RANG, heard=RANG + 1, taken=RANG + 14, answered=RANG + 15), 20.9, None),
    (Times(RANG, heard=RANG + 1, taken=RANG + 14, answered=RANG + 15), 21.0, End.FAULT),
    (Times(RANG, heard=RANG + 1, taken=RANG + 14, answered=RANG + 15, caller_up=True), 7200.0, None),
], ids=["an app is asked", "one that says nothing is not there", "it rings for 15 s", "then the telephone is rung",
        "an answer has time to connect", "one whose sound does not come is none", "the caller has time to connect",
        "a caller whose sound does not come is a fault", "a call is as long as it is"])
def test_what_ends_a_call_in_the_app(times: Times, after: float, end: End | None) -> None:
    assert ends(times, RANG + after) is end
