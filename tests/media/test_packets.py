"""The pure parts, byte by byte, against the RFCs' own layouts and against aiortc as a second opinion."""

import struct

import pytest
from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from lessons.media import rtcp, rtp, stun, twcc, vp8
from lessons.media.wire import Receipts, python_address, raw_address, runs


@given(st.binary(min_size=12, max_size=80))
def test_no_bytes_break_the_rtp_parser(content: bytes) -> None:
    rtp.extensions(content)
    rtp.transport_sequence(content, 4)
    packet = rtp.parse(content)
    if packet is not None:
        rtp.original(packet)
        vp8.parse(packet.payload)


@given(st.binary(max_size=120))
def test_no_bytes_break_the_other_parsers(content: bytes) -> None:
    rtcp.parse(content)
    stun.parse(content)
    vp8.parse(content)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=50), st.booleans())
def test_a_written_packet_reads_the_same_here_and_in_aiortc(sequence: int, timestamp: int, ssrc: int, payload: bytes,
                                                            marker: bool) -> None:
    for content in (rtp.audio(111, marker, sequence, timestamp, ssrc, payload),
                    rtp.video(96, marker, sequence, timestamp, ssrc, 0x123456, payload)):
        mine, theirs = rtp.parse(content), other.RtpPacket.parse(content)
        assert mine is not None
        assert (mine.sequence, mine.timestamp, mine.ssrc, mine.payload, mine.marker) == (
            theirs.sequence_number, theirs.timestamp, theirs.ssrc, theirs.payload, bool(theirs.marker))
    assert rtp.extensions(content) == {3: b"\x12\x34\x56"}


def test_both_forms_of_header_extensions_are_read() -> None:
    one = struct.pack("!BBHIIHH", 0x90, 96, 1, 2, 3, 0xBEDE, 2) + b"\x10A\x00\x31xy\x00\x00"
    two = struct.pack("!BBHIIHH", 0x90, 96, 1, 2, 3, 0x1000, 2) + b"\x01\x01A\x00\x04\x02xy"
    assert rtp.extensions(one) == {1: b"A", 3: b"xy"}
    assert rtp.extensions(two) == {1: b"A", 4: b"xy"}
    assert rtp.transport_sequence(two, 4) == 0x7879


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-3, 3), max_size=60))
def test_extended_numbers_never_lose_their_low_bits(start: int, steps: list[int]) -> None:
    extender, true = rtp.Extender(), start + (1 << 16)
    for step in steps:
        true += step
        assert extender.extend(true & 0xFFFF) & 0xFFFF == true & 0xFFFF
        if extender.highest is not None:
            assert extender.extend(true & 0xFFFF) == true
        extender.highest = true


def test_a_repetition_carries_the_original_number_first() -> None:
    content = rtp.video(96, True, 500, 9, 7, 0, b"picture")
    again = rtp.parse(rtp.repeat(content, rtp.VIDEO_HEADER, 97, 3, 8, 0x0A0B0C))
    assert again is not None
    assert (again.payload_type, again.sequence, again.ssrc, again.timestamp, again.marker) == (97, 3, 8, 9, True)
    assert rtp.original(again) == (500, b"picture")


@pytest.mark.parametrize(("payload", "expected"), [
    (b"\x10\x00", vp8.Descriptor(1, 0, 0, False, 0, 0, True, True)),
    (b"\x10\x01", vp8.Descriptor(1, 0, 0, False, 0, 0, True, False)),
    (b"\x00\x00", vp8.Descriptor(1, 0, 0, False, 0, 0, False, False)),
    (b"\x11\x00", vp8.Descriptor(1, 0, 0, False, 0, 0, False, False)),              # a later partition
    (b"\x90\x80\x11\x00", vp8.Descriptor(3, 0x11, 2, False, 0, 0, True, True)),
    (b"\x90\x80\x91\x22\x00", vp8.Descriptor(4, 0x1122, 2, True, 0, 0, True, True)),
    (b"\x90\xe0\x91\x22\x07\x40\x01", vp8.Descriptor(6, 0x1122, 2, True, 7, 4, True, False)),
    (b"\x90\x20\x40\x00", vp8.Descriptor(3, 0, 0, False, 0, 0, True, True)),
    (b"\x18\x00", vp8.Descriptor(1, 0, 0, False, 0, 0, True, True)),               # bit 3 is reserved, not the partition
])
def test_vp8_descriptors(payload: bytes, expected: vp8.Descriptor) -> None:
    assert vp8.parse(payload) == expected


@pytest.mark.parametrize("payload", [b"", b"\x10", b"\x90", b"\x90\x80", b"\x90\x80\x91", b"\x90\xe0\x91\x22\x07\x40"])
def test_a_descriptor_that_ends_early_is_none(payload: bytes) -> None:
    assert vp8.parse(payload) is None


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=60))
def test_a_nack_names_exactly_what_was_asked_for(sequences: list[int]) -> None:
    packet = rtcp.nack(7, sequences)
    mine = rtcp.parse(packet)[0]
    assert isinstance(mine, rtcp.Nack)
    assert set(mine.sequences) == set(sequences)
    assert {lost & 0xFFFF for lost in other.RtcpPacket.parse(packet)[0].lost} == set(sequences)      # aiortc does not wrap


def test_reports_read_the_same_in_aiortc() -> None:
    packet = rtcp.receiver_report([(7, 26, 5, 70000, 0x1234, 65536)]) + rtcp.sender_report(9, 5 << 32 | 7, 11, 13, 17)
    report, sender = other.RtcpPacket.parse(packet)
    block = report.reports[0]
    assert (block.ssrc, block.fraction_lost, block.packets_lost, block.highest_sequence, block.lsr, block.dlsr) == (
        7, 26, 5, 70000, 0x1234, 65536)
    assert (sender.ssrc, sender.sender_info.ntp_timestamp, sender.sender_info.rtp_timestamp) == (9, 5 << 32 | 7, 11)
    mine = rtcp.parse(packet)
    assert mine == [rtcp.ReportBlock(7, 26, 0x1234, 65536), rtcp.SenderReport(9, (5 << 32 | 7) / (1 << 32), 5 << 32 | 7, 11)]


@given(st.integers(1, 1 << 40))
def test_a_bandwidth_is_kept_within_its_precision(bits: int) -> None:
    packet = rtcp.bandwidth(bits, [1, 2])
    said = rtcp.parse(packet)[0]
    assert isinstance(said, rtcp.Bandwidth)
    assert bits * (1 - 2 ** -16) <= said.bits_per_second <= bits
    assert other.unpack_remb_fci(other.RtcpPacket.parse(packet)[0].fci) == (said.bits_per_second, [1, 2])


def arrivals(message: bytes) -> tuple[int, dict[int, float]]:
    """An independent reading of a feedback message: base number, and the arrival of each in seconds."""
    base, count, word = struct.unpack_from("!HHI", message)
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        chunk = struct.unpack_from("!H", message, at)[0]
        at += 2
        if chunk < 0x8000:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk < 0xC000:
            symbols += [chunk >> (13 - i) & 1 for i in range(14)]
        else:
            symbols += [chunk >> (12 - 2 * i) & 3 for i in range(7)]
    ticks, out = (word >> 8) * 256, {}
    for i, symbol in enumerate(symbols[:count]):
        if symbol == 1:
            ticks += message[at]
            at += 1
        elif symbol == 2:
            ticks += struct.unpack_from("!h", message, at)[0]
            at += 2
        if symbol:
            out[(base + i) & 0xFFFF] = ticks * 0.00025
    assert at == len(message)
    return base, out


@given(st.integers(0, 0xFFFF), st.lists(st.tuples(st.integers(1, 30), st.floats(0, 0.3)), min_size=1, max_size=80))
def test_feedback_tells_when_each_packet_arrived(start: int, steps: list[tuple[int, float]]) -> None:
    seen, sequence, at = twcc.Arrivals(), start, 1000.0
    expected: dict[int, float] = {}
    for step, seconds in steps:
        sequence, at = (sequence + step) & 0xFFFF, at + seconds
        seen.add(sequence, at)
        expected[sequence] = at
    message = seen.feedback()
    assert message is not None
    _base, told = arrivals(message)
    assert told.keys() == expected.keys()
    assert all(abs(told[n] - expected[n]) < 0.0006 for n in told)
    assert seen.feedback() is None


def test_feedback_names_the_packets_that_are_missing() -> None:
    seen = twcc.Arrivals()
    for sequence in (10, 11, 13):
        seen.add(sequence, 5.0)
    assert seen.feedback()
    seen.add(16, 5.1)
    base, told = arrivals(seen.feedback() or b"")
    assert (base, told.keys()) == (14, {16})
    assert rtcp.transport_feedback(7, b"12345")[0] & 0x20, "padded to whole words"
    assert len(rtcp.transport_feedback(7, b"12345")) % 4 == 0


def test_the_rfc_5769_request_is_verified() -> None:
    message = bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
        "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
        "80280004e57a3bcf")
    request = stun.parse(message)
    assert request is not None
    assert request.username == b"evtj:h6vY"
    assert request.local_ufrag == b"evtj"
    assert request.verified(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not request.verified(b"VOkJxbRl1RmTxUk/WvJxBT")
    reply = stun.success(request, b"VOkJxbRl1RmTxUk/WvJxBt", ("192.0.2.1", 32853))
    from aioice import stun as aioice
    parsed = aioice.parse_message(reply)
    assert parsed.check_message_integrity(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert parsed.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.1", 32853)
    six = aioice.parse_message(stun.success(request, b"k", ("2001:db8::7", 5)))
    assert six.attributes["XOR-MAPPED-ADDRESS"] == ("2001:db8::7", 5)


@given(st.lists(st.integers(20, 1400), min_size=1, max_size=200))
def test_segmented_runs_cover_every_packet_once_and_obey_the_kernel(lengths: list[int]) -> None:
    spans = list(runs(lengths, 60, 60_000))
    assert [i for first, last in spans for i in range(first, last)] == list(range(len(lengths)))
    for first, last in spans:
        run = lengths[first:last]
        assert len(run) <= 60
        assert sum(run) + 16 * len(run) <= 65_000
        assert all(size == run[0] for size in run[:-1])
        assert run[-1] <= run[0]


def test_a_step_of_the_wall_clock_makes_a_packet_older_never_younger(monkeypatch: pytest.MonkeyPatch) -> None:
    import time
    monkeypatch.setattr(time, "clock_gettime", lambda which: 100.0)
    receipts = Receipts()
    assert receipts.age(5000.0, receipts.offset(5000.0), 4999.5) == pytest.approx(0.5)
    assert receipts.age(1400.0, receipts.offset(1400.0), 5000.0) >= 0.0     # set back an hour
    receipts = Receipts()
    receipts.offset(5000.0)
    assert receipts.age(4000.0, receipts.offset(4000.0), 4999.0) == pytest.approx(1.0)
    receipts.offset(4000.0)
    assert receipts.age(9000.0, receipts.offset(9000.0), 4000.0) >= 1.0     # set forward


@pytest.mark.parametrize("address", [("192.0.2.7", 5000), ("2001:db8::1", 443, 0, 0)])
def test_socket_addresses_go_both_ways(address: tuple[object, ...]) -> None:
    assert python_address(raw_address(address)) == address
