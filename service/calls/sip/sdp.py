"""What of a session description (RFC 8866) is let through: from a browser two codecs, from the other end four facts."""

import ipaddress
import re
from dataclasses import dataclass, field

from aiortc.sdp import SessionDescription

from service.calls.way import NoWay

PCMU, PCMA = 0, 8
EVENT = 101
"""Our payload type for telephone events (RFC 4733), where the other end names none of its own."""
_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
_UNREADABLE = (ValueError, AssertionError, LookupError, AttributeError, TypeError, StopIteration)
"""What the parser raises of words that are no description: both ends may send any."""
_KEY = re.compile(r"^a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=])", re.M)


class NoSound(NoWay):
    """This browser offered no sound that a telephone understands, so nobody was called. Use an up-to-date browser."""

    code = "no-sound"


@dataclass(frozen=True)
class Sound:
    """One end's sound. `key`: its SRTP master key and salt (base64), empty without. `events`: its payload type, if any."""

    address: str
    port: int
    codec: int
    events: int | None = None
    key: str = field(default="", repr=False)


def telephone_only(offer: str) -> str:
    """A browser's offer with one audio line and G.711 alone, so that nothing has to be decoded on the way. Raises NoSound."""
    try:
        return _telephone_only(SessionDescription.parse(offer))
    except _UNREADABLE as unreadable:
        raise NoSound from unreadable


def _telephone_only(said: SessionDescription) -> str:
    audio, = [media for media in said.media if media.kind == "audio"]
    codecs = {codec.payloadType: codec for codec in audio.rtp.codecs if codec.payloadType in audio.fmt}
    kinds = [kind for kind in (PCMA, PCMU) if kind in codecs]
    if not kinds or len(said.media) != 1 or not audio.ice_candidates or audio.dtls is None:
        raise NoSound
    audio.fmt, audio.rtp.codecs = list(kinds), [codecs[kind] for kind in kinds]
    audio.rtp.headerExtensions = [each for each in audio.rtp.headerExtensions if each.uri == _MID]  # Janus knows packets by it
    audio.msid = None
    audio.direction = "sendrecv"
    said.origin, said.name, said.msid_semantic = "- 1 1 IN IP4 127.0.0.1", "-", []
    return str(said)


def is_near(address: str) -> bool:
    """Whether it is this machine itself, or on no network that has a router. A name is neither."""
    try:
        place = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return place.is_loopback or place.is_link_local


def sound_of(description: str, *, may_be_near: bool = True) -> Sound | None:
    """Where an end wants its sound, and how; None where it wants none or says it in a way that we do not understand.

    `may_be_near`: not so for a trunk that is elsewhere. One that was taken over would have a caller's voice sent to the ports of
    our own programs, and what these send heard as the family.
    """
    try:
        said = SessionDescription.parse(description)
        audio = next(media for media in said.media if media.kind == "audio")
        address, port = audio.host or said.host, audio.port
        codec = next(kind for kind in audio.fmt if kind in (PCMU, PCMA))
        place = ipaddress.IPv4Address(address)  # a name would be looked up for every packet, and the service would wait for it
    except _UNREADABLE:
        return None
    if place.is_unspecified or place.is_multicast or not 0 < port < 65536 or (is_near(str(place)) and not may_be_near):
        return None
    events = next((each.payloadType for each in audio.rtp.codecs if each.name.lower() == "telephone-event"), None)
    key = _KEY.search(description)
    return Sound(str(place), port, int(codec), events, key[1] if key else "")
