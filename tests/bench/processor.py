"""Processors and their time, as the kernel counts it."""

import os
from contextlib import suppress
from pathlib import Path


def seconds(pid: int) -> float:
    """Processor time of every thread of a process so far (schedstat counts nanoseconds, where `times` counts ticks)."""
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            spent += int((thread / "schedstat").read_text().split()[0])
        except OSError:  # it ended while we looked
            continue
    return spent / 1e9


def alone(processors: set[int]) -> None:
    """Keep this process to these processors, and where we may, before whatever else the machine is doing."""
    os.setsid()  # the kernel weighs sessions against each other first, then the processes within one
    os.sched_setaffinity(0, processors)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        Path("/proc/self/autogroup").write_text("-15")


def two() -> tuple[set[int], set[int]]:
    """One processor for the server and one for the load; the same twice on a machine that has one."""
    allowed = sorted(os.sched_getaffinity(0))
    return {allowed[0]}, {allowed[-1]}
