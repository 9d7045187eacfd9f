"""A trunk with two telephones behind it: the teacher's own, and the family's, each at an address of its own."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.calls.cable import Trunkside
from tests.calls.people import PARENT, TRUNK

OWN = "+447700900777"
STAFF_ADDRESS, FAMILY_ADDRESS = "198.51.100.3", "203.0.113.4"
CONFIGURATION = f"""
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{TRUNK}:5060
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {{
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route() || is_method("ACK")) t_relay();
        exit;
    }}
    record_route();
    if ($rU == "{OWN}") $du = "sip:{STAFF_ADDRESS}:5060";
    else if ($rU == "{PARENT}") $du = "sip:{FAMILY_ADDRESS}:5060";
    else {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"""


@dataclass(frozen=True)
class Exchange:
    """Where the two telephones are."""

    staff: Trunkside
    family: Trunkside


@contextmanager
def behind(side: Trunkside, address: str) -> Iterator[Trunkside]:
    """A network of its own for one telephone, beyond the trunk's."""
    alone = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
    try:
        assert alone.stdout is not None
        alone.stdout.readline()
        phone, net = Trunkside(alone.pid), address.rpartition(".")[0]
        name = f"to{alone.pid}"
        for words in (f"link add {name} type veth peer name phone netns {alone.pid}", f"address add {net}.1/24 dev {name}",
                      f"link set {name} up"):
            subprocess.run(side.inside(["ip", *words.split()]), check=True)
        for words in ("link set lo up", f"address add {address}/24 dev phone", "link set phone up",
                      f"route add default via {net}.1"):
            subprocess.run(phone.inside(["ip", *words.split()]), check=True)
        subprocess.run(["ip", "route", "replace", f"{net}.0/24", "via", TRUNK], check=True)
        yield phone
    finally:
        alone.kill()
        alone.wait()


def starting(side: Trunkside, folder: Path) -> list[str]:
    """Its configuration is written, and its network passes on. Returns what starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exchange.cfg").write_text(CONFIGURATION)
    subprocess.run(side.inside(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]), check=True)
    return ["kamailio", "-DD", "-E", "-f", str(folder / "exchange.cfg"), "-Y", str(folder), "-m", "32", "-M", "4"]


@asynccontextmanager
async def exchange(side: Trunkside, folder: Path) -> AsyncIterator[Exchange]:
    """Runs while the context does."""
    with behind(side, STAFF_ADDRESS) as staff, behind(side, FAMILY_ADDRESS) as family:
        running = await asyncio.create_subprocess_exec(
            *side.inside(starting(side, folder)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await side.listening(5060)
            yield Exchange(staff, family)
        finally:
            if running.returncode is None:
                running.terminate()
            await running.wait()
