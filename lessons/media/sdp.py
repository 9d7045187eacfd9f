"""Reading session descriptions (RFC 8866, RFC 8829): only what an SFU needs, everything else refused or ignored."""

import re
from dataclasses import dataclass, field
from typing import Literal

from lessons.media.adapter import FINGERPRINT_ALGORITHMS
from service.foundation.errors import Invalid

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_LONGEST, _MOST_SECTIONS = 256 * 1024, 256
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}\Z")
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


class BadOffer(Invalid):
    """The browser's description of its media cannot be used. Reload the page; if it happens again, use another browser."""

    code = "bad-offer"


@dataclass
class Section:
    """One m-line. Port 0 with `a=bundle-only` is not a refusal (RFC 9143 7.2; Firefox offers so)."""

    kind: str
    protocol: str
    rejected: bool
    mid: str = ""
    direction: Direction = "sendrecv"
    codecs: dict[int, str] = field(default_factory=dict)        # payload type: "vp8/90000"
    parameters: dict[int, str] = field(default_factory=dict)
    feedback: set[tuple[int, str]] = field(default_factory=set)
    extensions: dict[str, int] = field(default_factory=dict)    # URI: id; only those the other side sends
    rids: list[str] = field(default_factory=list)
    ssrcs: list[int] = field(default_factory=list)
    pairs: dict[int, int] = field(default_factory=dict)         # FID: primary SSRC to its retransmission SSRC

    def payload(self, codec: str) -> int | None:
        """The first payload type of `codec`, such as "opus/48000/2"."""
        return next((number for number, name in self.codecs.items() if name == codec), None)

    def repair(self, payload: int) -> int | None:
        """The payload type of retransmissions of `payload` (RFC 4588 8.1)."""
        return next((number for number, name in self.codecs.items()
                     if name == "rtx/90000" and f"apt={payload}" in self.parameters.get(number, "").split(";")), None)


@dataclass
class Description:
    """An offer or an answer. `ufrag`, `setup` and `fingerprints` are those of the one bundled transport."""

    session: str = ""
    sections: list[Section] = field(default_factory=list)
    ufrag: str = ""
    setup: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)


def parse(text: str) -> Description:
    """Read a description. Raises BadOffer for what is malformed, too long, or without ICE name and fingerprint."""
    if not isinstance(text, str) or len(text) > _LONGEST or not text.startswith("v=0"):
        raise BadOffer
    description = Description()
    try:
        for line in text.splitlines():
            _read(description, line[:2], line[2:])
    except (ValueError, IndexError, KeyError):
        raise BadOffer from None
    if not description.sections or not description.ufrag:
        raise BadOffer
    description.fingerprints = [pair for pair in description.fingerprints if pair[0] in FINGERPRINT_ALGORITHMS]
    if not description.fingerprints or description.setup not in ("active", "passive", "actpass"):
        raise BadOffer
    mids = [section.mid for section in description.sections]
    if len(set(mids)) != len(mids) or not all(_TOKEN.match(mid) for mid in mids):
        raise BadOffer
    return description


def _read(description: Description, kind: str, value: str) -> None:
    if kind == "o=":
        description.session = " ".join(value.split()[:2])
    elif kind == "m=":
        media, port, protocol, *_formats = value.split()
        if len(description.sections) >= _MOST_SECTIONS:
            raise ValueError
        description.sections.append(Section(media, protocol, int(port.partition("/")[0]) == 0))
    elif kind == "a=":
        name, _, rest = value.partition(":")
        _read_transport(description, name, rest)
        if description.sections:
            _read_media(description.sections[-1], name, rest)


def _read_transport(description: Description, name: str, rest: str) -> None:
    if name == "ice-ufrag":
        description.ufrag = description.ufrag or rest
    elif name == "setup":
        description.setup = description.setup or rest
    elif name == "fingerprint":
        algorithm, value = rest.split()
        pair = (algorithm.lower(), value.upper())
        if pair not in description.fingerprints:
            if len(description.fingerprints) >= 8:
                raise ValueError
            description.fingerprints.append(pair)


def _read_media(section: Section, name: str, rest: str) -> None:
    if name == "mid":
        section.mid = rest
    elif name == "bundle-only":
        section.rejected = False
    elif name in ("sendrecv", "sendonly", "recvonly", "inactive"):
        section.direction = name  # type: ignore[assignment]
    elif name == "rtpmap":
        number, codec = rest.split()
        section.codecs[_payload(number)] = codec.lower()
    elif name == "fmtp":
        number, _, parameters = rest.partition(" ")
        section.parameters[_payload(number)] = parameters.replace(" ", "")
    elif name == "rtcp-fb":
        number, _, kind = rest.partition(" ")
        section.feedback.update((n, kind) for n in (section.codecs if number == "*" else [_payload(number)]))
    elif name == "extmap":
        _read_extension(section, rest)
    elif name == "rid":
        rid, direction = rest.split()[:2]
        if direction == "send":
            section.rids.append(rid)
    elif name == "ssrc":
        ssrc = int(rest.split()[0])
        if ssrc not in section.ssrcs:
            section.ssrcs.append(ssrc)
    elif name == "ssrc-group" and rest.startswith("FID "):
        primary, repair = rest.split()[1:3]
        section.pairs[int(primary)] = int(repair)


def _read_extension(section: Section, rest: str) -> None:
    number, uri = rest.split()[:2]
    number, _, direction = number.partition("/")
    if direction in ("", "sendrecv", "sendonly") and 1 <= int(number) <= 255:
        section.extensions[uri] = int(number)


def _payload(number: str) -> int:
    value = int(number)
    if not 0 <= value <= 127:
        raise ValueError
    return value
