"""Writing session descriptions: the answer to an uplink, the offer of a downlink (RFC 8829).

They name the server's addresses and nobody else's.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lessons.media.addresses import Announcement
from lessons.media.rtp import ABS_SEND_TIME_ID
from lessons.media.sdp import ABS_SEND_TIME, MID, REPAIRED_RID, RID, TRANSPORT_CC, Direction
from lessons.media.source import OPUS, VP8, VP8_REPAIR
from lessons.media.uplink import Part

_OPUS_PARAMETERS = "minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=32000"
_CAP = {"microphone": 64_000, "camera": 900_000, "screen": 1_500_000}
"""Policy caps in bit/s, all layers of a source together (b=TIAS, RFC 3890)."""


@dataclass(frozen=True)
class Endpoint:
    """Our side of one transport, as a description names it."""

    ufrag: str
    password: str
    fingerprint: str
    announcement: Announcement
    session: int
    version: int

    def head(self, mids: Iterable[str]) -> str:
        """The session part. `session` stays and `version` grows over the life of a connection (RFC 3264 8)."""
        return (f"v=0\r\no=- {self.session} {self.version} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n"
                f"a=group:BUNDLE {' '.join(mids)}\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n")

    def section(self, media: str, payloads: Sequence[int], mid: str, setup: str, direction: Direction, cap: int = 0) -> str:
        bandwidth = f"b=TIAS:{cap}\r\n" if cap else ""
        return (f"m={media} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, payloads))}\r\nc=IN IP4 0.0.0.0\r\n{bandwidth}"
                f"a=rtcp-mux\r\na=rtcp-rsize\r\na=ice-ufrag:{self.ufrag}\r\na=ice-pwd:{self.password}\r\n"
                f"a=fingerprint:sha-256 {self.fingerprint}\r\na=setup:{setup}\r\n{self.announcement.lines()}"
                f"a=end-of-candidates\r\na=mid:{mid}\r\na={direction}\r\n")


def new_session() -> int:
    """A session id for the o= line."""
    return secrets.randbits(60)


def answer(endpoint: Endpoint, parts: Sequence[Part], setup: str) -> str:
    """The answer to an uplink: receive everything that was offered, with the feedback both sides know."""
    return endpoint.head(part.section.mid for part in parts) + "".join(_received(endpoint, part, setup) for part in parts)


def _received(endpoint: Endpoint, part: Part, setup: str) -> str:
    section, payload = part.section, part.payload
    payloads = [payload] + ([part.repair] if part.repair is not None else [])
    direction: Direction = "recvonly" if section.direction in ("sendrecv", "sendonly") else "inactive"
    lines = [endpoint.section(section.kind, payloads, section.mid, setup, direction, _CAP[part.kind])]
    if part.kind == "microphone":
        lines.append(f"a=rtpmap:{payload} opus/48000/2\r\na=fmtp:{payload} {_OPUS_PARAMETERS}\r\n")
    else:
        lines.append(f"a=rtpmap:{payload} VP8/90000\r\n")
    if part.repair is not None:
        lines.append(f"a=rtpmap:{part.repair} rtx/90000\r\na=fmtp:{part.repair} apt={payload}\r\n")
    kinds = ["nack", "nack pli", "ccm fir", "transport-cc"] + ([] if part.transport_cc is not None else ["goog-remb"])
    lines += [f"a=rtcp-fb:{payload} {kind}\r\n" for kind in kinds if (payload, kind) in section.feedback]
    lines += [f"a=extmap:{section.extensions[uri]} {uri}\r\n" for uri in (MID, RID, REPAIRED_RID, TRANSPORT_CC)
              if uri in section.extensions]
    if part.rids:
        lines += [f"a=rid:{rid} recv\r\n" for rid in part.rids]
        lines.append(f"a=simulcast:recv {';'.join(part.rids)}\r\n")
    return "".join(lines)


def both_ways(endpoint: Endpoint, part: Part, ssrc: int) -> str:
    """The answer to one line of sound that is sent and received: no extension, no repair, our own source."""
    section, payload = part.section, part.payload
    return (endpoint.head([section.mid])
            + endpoint.section("audio", [payload], section.mid, "passive", "sendrecv", _CAP["microphone"])
            + f"a=rtpmap:{payload} opus/48000/2\r\na=fmtp:{payload} {_OPUS_PARAMETERS}\r\n"
            + f"a=msid:call voice\r\na=ssrc:{ssrc} cname:call\r\n")


@dataclass(frozen=True)
class Sent:
    """One m-line of an offer to a viewer. `group` is shared by the tracks to be played in step; empty for a free line."""

    media: str
    mid: str
    group: str = ""
    ssrc: int = 0
    repair_ssrc: int = 0


def offer(endpoint: Endpoint, lines: Sequence[Sent]) -> str:
    """The offer of a downlink. Payload types, SSRCs and extension ids are the same for every viewer."""
    return endpoint.head(line.mid for line in lines) + "".join(_sent(endpoint, line) for line in lines)


def _sent(endpoint: Endpoint, line: Sent) -> str:
    direction: Direction = "sendonly" if line.group else "inactive"
    if line.media == "audio":
        text = endpoint.section("audio", [OPUS], line.mid, "actpass", direction)
        text += f"a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} minptime=10;useinbandfec=1\r\na=rtcp-fb:{OPUS} nack\r\n"
    else:
        text = endpoint.section("video", [VP8, VP8_REPAIR], line.mid, "actpass", direction)
        text += f"a=rtpmap:{VP8} VP8/90000\r\na=rtpmap:{VP8_REPAIR} rtx/90000\r\na=fmtp:{VP8_REPAIR} apt={VP8}\r\n"
        text += "".join(f"a=rtcp-fb:{VP8} {kind}\r\n" for kind in ("nack", "nack pli", "ccm fir", "goog-remb"))
        text += f"a=extmap:{ABS_SEND_TIME_ID} {ABS_SEND_TIME}\r\n"
    return text + (_names(line) if line.group else "")


def _names(line: Sent) -> str:
    """The primary SSRC must be the first `a=ssrc` line: Chromium shows no picture at all otherwise."""
    text = f"a=msid:{line.group} {line.group}{line.ssrc}\r\na=ssrc:{line.ssrc} cname:{line.group}\r\n"
    if line.media == "video":
        text += (f"a=ssrc-group:FID {line.ssrc} {line.repair_ssrc}\r\na=ssrc:{line.repair_ssrc} cname:{line.group}\r\n")
    return text
