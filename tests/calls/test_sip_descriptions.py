"""Session descriptions of people who mean ill: of a trunk that was taken over, and of a page with its tools open."""

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from service.calls.number import Number
from service.calls.sip.edge import Edge
from service.calls.sip.sdp import NoSound, Sound, sound_of, telephone_only
from service.calls.sip.trunk import Trunk

TRUNK = "\r\n".join((
    "v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "m=audio 4000 RTP/AVP 8 0 101",
    "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=sendrecv", ""))
TRUNK_OF_A_SCHOOL = Trunk("trunk.example", "192.0.2.9", Number("+441632960100"))
BROWSER = "\r\n".join((
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 8 0", "c=IN IP4 0.0.0.0",
    "a=candidate:1 1 udp 2113 192.0.2.9 5000 typ host", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=fingerprint:sha-256 AA:BB", "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:0 PCMU/8000", "a=ssrc-group:FID 1 2", ""))


@pytest.mark.parametrize("there", ["IP4 sound.trunk.example", "IP6 2001:db8::1", "IP4 224.0.0.1", "IP4 0.0.0.0", "IP4 1"])
def test_sound_is_sent_to_an_address_and_to_no_name_that_every_packet_would_look_up(there: str) -> None:
    assert sound_of(TRUNK) == Sound("192.0.2.1", 4000, 8, 101)
    assert sound_of(TRUNK.replace("c=IN IP4 192.0.2.1", f"c=IN {there}")) is None


@pytest.mark.parametrize("there", ["127.0.0.1", "127.8.8.8", "169.254.169.254"])
def test_a_trunk_that_is_elsewhere_does_not_send_sound_to_this_machine(there: str) -> None:
    """Else one that was taken over reaches the ports of our own programs, and they are heard as the family."""
    near = TRUNK.replace("c=IN IP4 192.0.2.1", f"c=IN IP4 {there}")
    assert sound_of(near, may_be_near=False) is None
    assert sound_of(near) == Sound(there, 4000, 8, 101), "our own end, or a trunk on this machine"
    assert sound_of(TRUNK, may_be_near=False) == Sound("192.0.2.1", 4000, 8, 101)


@pytest.mark.parametrize(("address", "side", "is_taken"), [
    ("192.0.2.9", "callee", False), ("192.0.2.9", "caller", True), ("127.0.0.1", "callee", True)])
def test_what_the_edge_tells_of_the_trunk_is_held_to_where_the_trunk_is(address: str, side: str, is_taken: bool) -> None:
    heard: list[Sound | None] = []
    edge = Edge(replace(TRUNK_OF_A_SCHOOL, address=address), lambda call_id, end, sound: heard.append(sound))
    edge._token = "token"
    edge._told(f"token {side} call\n{TRUNK.replace('192.0.2.1', '127.0.0.1')}".encode())
    assert [sound is not None for sound in heard] == [is_taken]


@pytest.mark.parametrize("port", ["0", "65536", "-1"])
def test_a_port_that_there_is_not_wants_no_sound(port: str) -> None:
    assert sound_of(TRUNK.replace("audio 4000", f"audio {port}")) is None


def test_words_that_are_no_description_are_no_sound_and_nothing_worse() -> None:
    chance, scraps = random.Random(1), ("", "x", " ", ":", "\r\n", "IN IP6 ::1", "host.example", "a=ssrc:", "m=", "\u0663")
    assert telephone_only(BROWSER)
    for _ in range(3000):
        words = chance.choice((TRUNK, BROWSER))
        for _ in range(chance.randint(1, 3)):
            lines = words.split("\r\n")
            at = chance.randrange(len(lines))
            line, scrap = lines[at], chance.choice(scraps)
            lines[at] = chance.choice((line.partition(":")[0], line.partition(" ")[0], line + scrap, scrap))
            words = "\r\n".join(lines)
        sound_of(words)
        with suppress(NoSound):
            telephone_only(words)
