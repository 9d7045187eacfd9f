"""Which notices go to phones, which of them need no mail beside, and where they may be sent at all. Pure.

A subscription is an address that a browser gives us to write to. It is somebody's input: only the push services that the
school lists are ever written to, so that nobody makes this server knock at its neighbours (ASVS V1.3.6).
"""

from base64 import urlsafe_b64decode
from collections.abc import Collection
from datetime import timedelta
from urllib.parse import urlsplit

from service.foundation.errors import Invalid

PHONE_ALONE = frozenset({"N3", "N5", "N7"})
"""Whoever has a phone that takes notices gets no mail of these; all others come both ways."""
WARNINGS = frozenset({"N6"})
"""They warn of whoever may be about to sign this phone out, so they reach it also when that has happened."""
URGENT = frozenset({"N3", "N7", "S1"})
LASTS = {"N3": timedelta(minutes=15), "N7": timedelta(hours=4)}
LASTS_ELSE = timedelta(days=1)
"""For how long a push service keeps a notice for a phone that is off: what is old news by then is left to the app itself."""
POINT, SECRET = 65, 16
"""Bytes of a P-256 point and of the shared secret (RFC 8291, section 3.2)."""
LONGEST_ADDRESS = 1_000


class UnknownPushService(Invalid):
    """This phone's notices come from a place that the school does not send to."""

    code = "unknown-push-service"


class BadSubscription(Invalid):
    """This phone's notices could not be turned on. Try again."""

    code = "bad-subscription"


def hosts(setting: str) -> tuple[str, ...]:
    """The push services of a setting: `host`, `.host` for any below it, or a whole `scheme://host:port` for a test."""
    return tuple(each.strip().lower() for each in setting.split(",") if each.strip())


def is_allowed(endpoint: str, allowed: Collection[str]) -> bool:
    """Whether this is an address of a push service on the list, over TLS, on the usual port."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return False
    if f"{parts.scheme}://{parts.netloc}".lower() in allowed:
        return True
    host = (parts.hostname or "").lower()
    known = any(host == each or (each.startswith(".") and host.endswith(each)) for each in allowed)
    return known and parts.scheme == "https" and port in (None, 443) and "@" not in parts.netloc


def check(endpoint: str, p256dh: str, auth: str, allowed: Collection[str]) -> None:
    """Raises `UnknownPushService` or `BadSubscription` for what nothing could be sent to."""
    if len(endpoint) > LONGEST_ADDRESS or not is_allowed(endpoint, allowed):
        raise UnknownPushService()
    point = decoded(p256dh)
    if len(point) != POINT or point[0] != 4 or len(decoded(auth)) != SECRET:
        raise BadSubscription()


def decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)) if text.isascii() else b""
    except ValueError:
        return b""


def lasts(text: str) -> timedelta:
    return LASTS.get(text, LASTS_ELSE)
