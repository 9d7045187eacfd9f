"""Offers and answers: what is refused, what the answer says, and what no client ever learns about another."""

import re

import pytest

from lessons.media import adapter, sdp, uplink
from lessons.media.plane import BadOffer
from service.foundation.errors import Invalid
from tests.media.conftest import Room
from tests.media.peers import until
from tests.media.raw import RawPeer, answer, offer

CERTIFICATE = adapter.certificate()
GOOD, ONE = offer(CERTIFICATE), offer(CERTIFICATE, kinds=1)
FIREFOX = """v=0
o=mozilla...THIS_IS_SDPARTA-99.0 8349812 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {fingerprint}
a=group:BUNDLE 0 1
a=ice-options:trickle
m=audio 9 UDP/TLS/RTP/SAVPF 109
c=IN IP4 0.0.0.0
a=sendonly
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=ice-pwd:0123456789012345678901234567
a=ice-ufrag:fire
a=mid:0
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=setup:actpass
a=ssrc:44 cname:x
m=video 0 UDP/TLS/RTP/SAVPF 120 124
c=IN IP4 0.0.0.0
a=bundle-only
a=sendonly
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:8/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=fmtp:124 apt=120
a=ice-pwd:0123456789012345678901234567
a=ice-ufrag:fire
a=mid:1
a=rtcp-fb:120 nack
a=rtcp-fb:120 transport-cc
a=rtcp-mux
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=setup:actpass
a=ssrc:55 cname:x
a=ssrc:66 cname:x
a=ssrc-group:FID 55 66
"""

BAD = {
    "nothing": "",
    "not a description": "hello",
    "no m-lines": GOOD[:GOOD.index("m=audio")],
    "a data channel": GOOD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n",
    "a second microphone": ONE + ONE[ONE.index("m=audio"):].replace("a=mid:0", "a=mid:3"),
    "pictures before sound": GOOD.replace("m=audio", "m=video"),
    "an unknown m-line": GOOD.replace("m=video", "m=text", 1),
    "no ICE name": re.sub(r"a=ice-ufrag.*\r\n", "", GOOD),
    "no fingerprint": re.sub(r"a=fingerprint.*\r\n", "", GOOD),
    "only an unknown fingerprint": GOOD.replace("a=fingerprint:sha-256", "a=fingerprint:md5"),
    "no setup": re.sub(r"a=setup.*\r\n", "", GOOD),
    "no codec we know": GOOD.replace("VP8/90000", "AV1/90000"),
    "no Opus": GOOD.replace("opus/48000/2", "PCMU/8000"),
    "unknown layers": GOOD.replace("a=rid:h send", "a=rid:q send"),
    "layers on the screen": GOOD + "a=rid:l send\r\n",
    "the same mid twice": GOOD.replace("a=mid:1", "a=mid:0"),
    "a mid that is no token": GOOD.replace("a=mid:1", "a=mid:<b>"),
    "a refused m-line": GOOD.replace("m=video 9", "m=video 0", 1),
    "no profile for feedback": GOOD.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "a payload type out of range": GOOD.replace("a=rtpmap:96 ", "a=rtpmap:960 "),
    "numbers that are none": GOOD.replace("m=audio 9", "m=audio nine"),
    "endless": GOOD + "a=x:" + "y" * 300_000,
    "very many m-lines": GOOD + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 300,
    "very many fingerprints": GOOD + "".join(f"a=fingerprint:sha-256 {i}\r\n" for i in range(20)),
}


@pytest.mark.parametrize("what", BAD)
async def test_an_unusable_offer_is_refused_in_plain_words_and_harms_nobody(room: Room, what: str) -> None:
    room.room.join("anna")
    with pytest.raises(BadOffer) as refusal:
        await room.room.publish("anna", BAD[what])
    assert isinstance(refusal.value, Invalid)
    assert "Reload the page" in refusal.value.message
    assert await room.room.publish("anna", GOOD), "the same person may still come in"


async def test_only_who_joined_may_publish(room: Room) -> None:
    with pytest.raises(BadOffer):
        await room.room.publish("nobody", GOOD)
    with pytest.raises(BadOffer):
        await room.room.subscribed("nobody", 1, GOOD)


def test_a_firefox_offer_is_understood() -> None:
    text = FIREFOX.format(fingerprint=adapter.fingerprint(CERTIFICATE)).replace("\n", "\r\n")
    description = sdp.parse(text)
    audio, video = uplink.accept(description)
    assert (audio.payload, video.payload, video.repair) == (109, 120, 124), "its own numbers"
    assert not description.sections[1].rejected, "port 0 with bundle-only is no refusal"
    assert sdp.ABS_SEND_TIME not in video.section.extensions, "what it only receives it does not send"
    assert video.transport_cc == 7
    assert video.section.pairs == {55: 66}


async def test_the_answer_names_our_addresses_and_takes_both_layers(room: Room) -> None:
    room.room.join("anna")
    text = await room.room.publish("anna", GOOD)
    assert text.count("a=ice-lite") == 1
    assert f" udp {126 << 24 | 65534 << 8 | 255} 127.0.0.1 {room.plane.port} typ host" in text
    assert f"127.0.0.1 {room.plane.port} typ host tcptype passive" in text
    assert "a=simulcast:recv l;h" in text
    assert text.count("b=TIAS") == 3
    assert text.count("a=setup:passive") == 3
    assert "a=sendonly" not in text
    assert "useinbandfec=1" in text


async def test_no_description_for_a_viewer_names_the_address_of_another_client(room: Room) -> None:
    room.room.join("anna")
    room.room.join("ben")
    secret = GOOD + "a=candidate:1 1 udp 2113937151 198.51.100.77 5000 typ host\r\n"
    assert "198.51.100.77" not in await room.room.publish("anna", secret)
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    await until(lambda: bool(room.offers.get("ben") and room.offers["ben"][-1].streams), room.record.wrote)
    everything = "".join(o.sdp for offers in room.offers.values() for o in offers)
    assert "198.51.100.77" not in everything
    assert set(re.findall(r"a=candidate:\S+ 1 \S+ \d+ (\S+)", everything)) == {"127.0.0.1"}


async def test_loopback_is_announced_only_to_who_came_over_loopback() -> None:
    from lessons.media.plane import Plane
    from service.foundation.clock import SystemClock
    clock = SystemClock()
    plane = await Plane.start(port=0, public_addresses=["203.0.113.9"], clock=clock)
    room = Room(plane, clock)
    try:
        room.room.join("far")
        room.room.join("near", loopback=True)
        far, near = await room.room.publish("far", GOOD), await room.room.publish("near", GOOD)
        assert " 127.0.0.1 " not in far
        assert " 127.0.0.1 " in near
        assert " 203.0.113.9 " in far, "the public address of 1:1 NAT"
        assert "fe80" not in far
    finally:
        await room.close()


async def test_offers_grow_and_a_line_that_became_free_is_used_again(room: Room) -> None:
    room.room.join("ben")
    for name in ("anna", "carl"):
        room.room.join(name)
        await room.room.publish(name, GOOD)
    peer, offers = RawPeer(), room.offers

    async def next_offer(version: int) -> None:
        await until(lambda: bool(offers.get("ben")) and offers["ben"][-1].version == version, peer.changed)
        await room.room.subscribed("ben", version, answer(peer.certificate, offers["ben"][-1].sdp))

    await next_offer(1)
    assert "a=inactive" in offers["ben"][-1].sdp, "a line without a source, so that the handshake comes first"
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    room.route(anna_microphone=["ben"], anna_camera=["ben"], anna_screen=["ben"])     # together: one offer
    await next_offer(2)
    assert [(s.mid, s.peer, s.kind) for s in offers["ben"][-1].streams] == [
        ("0", "anna", "microphone"), ("1", "anna", "camera"), ("2", "anna", "screen")]
    room.route(anna_camera=["ben"])                 # muting renegotiates nothing
    room.room.leave("anna")
    await next_offer(3)
    assert offers["ben"][-1].streams == ()
    assert offers["ben"][-1].sdp.count("a=inactive") == 3
    room.route(carl_camera=["ben"], carl_microphone=["ben"])
    await next_offer(4)
    assert [(s.mid, s.peer) for s in offers["ben"][-1].streams] == [("0", "carl"), ("1", "carl")]
    ids = re.findall(r"o=- (\d+) (\d+)", "".join(o.sdp for o in offers["ben"]))
    assert len({session for session, _ in ids}) == 1
    assert [version for _, version in ids] == ["1", "2", "3", "4"]


async def test_an_answer_must_be_to_the_offer_under_way_and_fit_it(room: Room) -> None:
    room.route(anna_microphone=["ben"], anna_camera=["ben"])
    room.room.join("anna")
    await room.room.publish("anna", GOOD)
    room.room.join("ben")
    await until(lambda: bool(room.offers.get("ben")), room.record.wrote)
    given, certificate = room.offers["ben"][-1], adapter.certificate()
    good = answer(certificate, given.sdp)
    for version, text in ((given.version + 1, good), (given.version, good.replace("a=mid:1", "a=mid:9")),
                          (given.version, good.replace("a=setup:active", "a=setup:actpass")), (given.version, "v=0\r\n"),
                          (given.version, good[:good.index("m=video")])):
        with pytest.raises(BadOffer):
            await room.room.subscribed("ben", version, text)
    await room.room.subscribed("ben", given.version, good)
    with pytest.raises(BadOffer):
        await room.room.subscribed("ben", given.version, good)


async def test_the_primary_source_is_the_first_ssrc_line(room: Room) -> None:
    room.route(anna_camera=["ben"])
    room.room.join("anna")
    await room.room.publish("anna", GOOD)
    room.room.join("ben")
    await until(lambda: bool(room.offers.get("ben") and room.offers["ben"][-1].streams), room.record.wrote)
    section = room.offers["ben"][-1].sdp.split("m=video")[1]
    first = re.search(r"a=ssrc:(\d+)", section)
    pair = re.search(r"a=ssrc-group:FID (\d+) (\d+)", section)
    assert first is not None
    assert pair is not None
    assert first[1] == pair[1]


async def test_publishing_again_on_the_same_connection_restarts_ice_and_keeps_the_keys(room: Room) -> None:
    room.room.join("anna")
    first = await room.room.publish("anna", GOOD)
    same = await room.room.publish("anna", GOOD)
    restarted = await room.room.publish("anna", GOOD.replace("a=ice-ufrag:rawp", "a=ice-ufrag:next"))
    other = await room.room.publish("anna", offer(CERTIFICATE, session=2))
    names = [re.search(r"a=ice-ufrag:(\S+)", text)[1] for text in (first, same, restarted, other)]  # type: ignore[index]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    sessions = [re.search(r"o=- (\d+)", text)[1] for text in (first, same, restarted, other)]  # type: ignore[index]
    assert sessions[0] == sessions[2] != sessions[3]
