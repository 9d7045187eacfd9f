"""The measurement of the deadlines works, on a small school: what is asserted is that it measures, and the order of size."""

import os
from pathlib import Path

from tests.bench import deadlines, edges
from tests.bench.deadline_school import make
from tests.bench.joins import served


async def test_the_last_byte_after_a_leave_and_after_a_revocation_is_measured_at_a_real_service(tmp_path: Path) -> None:
    size = deadlines.Size(connections=9, leaves=1, kills=1, silences=0, pairs=1, at_once=1, watched=1, each=6)
    made = await make(tmp_path, classes=size.classes, each=size.each, pairs=2 * size.pairs)
    with served(made, os.sched_getaffinity(0)) as service:  # type: ignore[arg-type]
        await service.ready()
        found = await deadlines.measure(service.url, made, size)
    assert found.connections == 9
    for each in (found.left, found.killed):
        assert each.void + len(each.took) == 1
        assert all(took < 2.5 for took in each.took)
    for revoked in (found.approvals, found.sign_ins):
        assert [0 < told < 5 for told in revoked.told] == [True], "seen at the socket"
        assert 0 <= revoked.sent[0] < 5
    assert found.sign_ins.open_still == 0


async def test_the_gate_and_a_new_edge_are_measured_on_a_room_that_is_open() -> None:
    took = await edges.rebuilds(1)
    assert all(0 < seconds < 1 for each in took.values() for seconds in each.clock)
    packet = await edges.per_packet(viewers=6, packets=400)
    assert 0 < packet.gate < packet.taken
    assert packet.sent > 0
