"""What the provider is told to do with one telephone (TwiML). Pure. Nothing here ever names a number.

Each is an end in itself: a telephone that hears nothing further from us is hung up on when its words are over.
"""

from xml.sax.saxutils import escape, quoteattr

DIAL_SECONDS = 75
"""For which the caller waits while the family is rung."""
CONNECT_SECONDS = 10
"""For which the family waits, in silence, until we have asked the rule once more."""
HOLD_SECONDS = 600
HANG_UP = "<Response><Hangup/></Response>"


def press_one(then: str) -> str:
    """Is the caller there, and not their mailbox or their child? Only then is the family rung."""
    return (f"<Response><Gather numDigits=\"1\" timeout=\"10\" method=\"POST\" action={quoteattr(then)}>"
            f"{_say('Press 1 to call the family.')}</Gather><Hangup/></Response>")


def wait(seconds: int, words: str = "") -> str:
    """Alone, in silence, for a while; then it is over."""
    return f"<Response>{_say(words) if words else ''}<Pause length=\"{seconds}\"/><Hangup/></Response>"


def together(room: str, digits: str = "") -> str:
    """Into one room with the other; `digits` are sent first, to whom this is for."""
    tones = f"<Play digits={quoteattr(digits)}/>" if digits else ""
    return (f"<Response>{tones}<Dial><Conference beep=\"false\" waitUrl=\"\" startConferenceOnEnter=\"true\" "
            f"maxParticipants=\"2\" record=\"do-not-record\">{escape(room)}</Conference></Dial><Hangup/></Response>")


def message(said: str) -> str:
    """The school's neutral words, read out or as they were recorded, and then the end."""
    plays = f"<Play>{escape(said)}</Play>" if said.startswith("https://") else _say(said)
    return f"<Response>{plays}<Hangup/></Response>"


def _say(words: str) -> str:
    return f"<Say language=\"en-GB\">{escape(words)}</Say>"
