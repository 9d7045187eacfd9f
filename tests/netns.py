"""A network of its own for a command: loopback, and one ordinary address, which Janus and Firefox insist on.

Nothing else reaches it, nothing leaves it (its default route, by which Firefox finds its own address, leads nowhere), and it
goes when its processes end. Linux with util-linux and iproute2; without root a user namespace is tried.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ADDRESS = "192.0.2.1"  # RFC 5737: for examples, so never anybody's
_CLONE_NEWNET = 0x40000000
_SET_UP = f"""
ip link set lo up
ip link add lesson0 type veth peer name lesson1 2>/dev/null || ip link add lesson0 type dummy
ip address add {ADDRESS}/24 dev lesson0
ip link set lesson0 up
ip link set lesson1 up 2>/dev/null || true
ip route add default dev lesson0
exec "$@"
"""


def inside(command: Sequence[str]) -> list[str]:
    """The command that runs `command` in a network of its own."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--net", "sh", "-ec", _SET_UP, "sh", *command]


def available() -> bool:
    """Whether this machine lets us make one."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(inside(["true"]), capture_output=True, check=False).returncode == 0


@contextmanager
def entered() -> Iterator[bool]:
    """Move this thread, and what it starts, into a network of its own. Yields False, and does nothing, without the right to."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            yield False
            return
        try:
            subprocess.run(["sh", "-ec", _SET_UP, "sh", "true"], check=True, capture_output=True)
            yield True
        finally:
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "this thread cannot leave its own network")
    finally:
        os.close(before)
