"""Batched and plain sending are the same thing at two speeds."""

import secrets
import socket
from types import SimpleNamespace

import pytest
from pylibsrtp import Policy, Session

from lessons.media import batch, plain, rtp
from lessons.media.memory import ffi
from lessons.media.stream import Segment
from lessons.media.wire import Packet, raw_address

KEY = secrets.token_bytes(44)


def session(kind: int) -> Session:
    policy = Policy(key=KEY, ssrc_type=kind, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM)
    policy.allow_repeat_tx = True
    return Session(policy)


def viewers(count: int, patch: object = None) -> tuple[list[socket.socket], list[SimpleNamespace]]:
    sockets, targets = [], []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        raw = raw_address(sock.getsockname())
        owner = session(Policy.SSRC_ANY_OUTBOUND)
        name = ffi.new("char[]", raw)
        targets.append(SimpleNamespace(context=owner._srtp[0], name=name, name_length=len(raw), address=sock.getsockname(),
                                       patch=patch, bytes_sent=0, owner=owner))
        sockets.append(sock)
    return sockets, targets


def received(sock: socket.socket) -> list[bytes]:
    reader, out = session(Policy.SSRC_ANY_INBOUND), []
    try:
        while True:
            out.append(reader.unprotect(sock.recv(2048)))
    except BlockingIOError:
        return out


def frame(sizes: list[int]) -> list[Packet]:
    return [Packet(rtp.video(96, i == len(sizes) - 1, 10 + i, 90, 5, 0, bytes([i]) * size), rtp.VIDEO_HEADER, 10 + i, 90)
            for i, size in enumerate(sizes)]


@pytest.mark.parametrize("segmentation", [True, False])
@pytest.mark.parametrize("outbox", [batch.Outbox, plain.Outbox])
@pytest.mark.parametrize("sizes", [[50], [700] * 5, [700, 700, 30], [30, 700, 700, 701], [1100] * 130])
def test_every_viewer_gets_every_packet_in_order(outbox: type, sizes: list[int], segmentation: bool) -> None:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    sender.setblocking(False)
    box = outbox()
    box.segmentation = segmentation
    sockets, targets = viewers(5)
    packets = frame(sizes)
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert box.fan_out(sender, targets, packets) == 5 * len(packets)
    for sock, target in zip(sockets, targets, strict=True):
        assert received(sock) == [p.content for p in packets]
        assert target.bytes_sent == sum(len(p.content) + 16 for p in packets)
        sock.close()
    sender.close()


@pytest.mark.parametrize("outbox", [batch.Outbox, plain.Outbox])
def test_a_switched_viewer_gets_its_own_numbers_and_the_others_theirs(outbox: type) -> None:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    sockets, targets = viewers(2)
    targets[1].patch = Segment(None, 0, number=-4, time=1000).patch  # type: ignore[arg-type]
    outbox().fan_out(sender, targets, frame([40, 40]))
    plain_one, patched = ([rtp.parse(p) for p in received(sock)] for sock in sockets)
    assert [(p.sequence, p.timestamp) for p in plain_one if p] == [(10, 90), (11, 90)]
    assert [(p.sequence, p.timestamp) for p in patched if p] == [(6, 1090), (7, 1090)]
    for sock in (*sockets, sender):
        sock.close()


def test_a_card_that_cannot_segment_gets_packets_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    box = batch.Outbox()
    sockets, targets = viewers(2)
    real = box._libc

    def sendmmsg(fd: int, messages: object, count: int, flags: int) -> int:
        if messages[0].header.iovlen > 1:  # type: ignore[index]
            ffi.errno = errno.EIO
            return -1
        return int(real.sendmmsg(fd, messages, 1, flags))

    box._libc = SimpleNamespace(sendmmsg=sendmmsg)
    packets = frame([300, 300, 300])
    assert box.fan_out(sender, targets, packets) == 6
    assert not box.segmentation
    assert [len(received(sock)) for sock in sockets] == [3, 3]
    for sock in (*sockets, sender):
        sock.close()


@pytest.mark.parametrize("inbox", [batch.Inbox, plain.Inbox])
def test_what_was_received_has_its_age_and_where_it_came_from(inbox: type) -> None:
    import time
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    receiver.setblocking(False)
    sender.bind(("127.0.0.1", 0))
    box = inbox()
    box.prepare(receiver)
    for _ in range(100):  # the kernel begins to stamp a moment after it was asked to
        sender.sendto(b"probe", receiver.getsockname())
        time.sleep(0.02)
        if max(age for *_, age in box.read(receiver)) >= 0.015:
            break
    for i in range(70):
        sender.sendto(bytes([i]) * (i + 1), receiver.getsockname())
    sender.sendto(bytes(3000), receiver.getsockname())          # truncated: dropped
    time.sleep(0.05)
    got = [(bytes(box.slots.view[slot * 2048:slot * 2048 + length]), raw, age)
           for _ in range(3) for slot, length, raw, age in box.read(receiver)]
    assert [content for content, _, _ in got] == [bytes([i]) * (i + 1) for i in range(70)]
    assert {raw for _, raw, _ in got} == {raw_address(sender.getsockname())}
    assert all(0.045 <= age < 5 for _, _, age in got)
    receiver.close()
    sender.close()
