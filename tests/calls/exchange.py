"""A trunk with two telephones behind it: the teacher's own, and the family's, each at an address of its own."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.calls.cable import Trunkside
from tests.calls.people import PARENT, TRUNK

OWN = "+447700900777"
STAFF_ADDRESS, FAMILY_ADDRESS = "192.0.2.3", "192.0.2.4"
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


def prepared(side: Trunkside, folder: Path) -> list[str]:
    """Its addresses and its configuration. Returns what starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exchange.cfg").write_text(CONFIGURATION)
    for address in (STAFF_ADDRESS, FAMILY_ADDRESS):
        subprocess.run(side.inside(["ip", "address", "replace", f"{address}/24", "dev", "lesson1"]), check=True)
    return ["kamailio", "-DD", "-E", "-f", str(folder / "exchange.cfg"), "-Y", str(folder), "-m", "32", "-M", "4"]


@asynccontextmanager
async def exchange(side: Trunkside, folder: Path) -> AsyncIterator[None]:
    """Runs while the context does."""
    running = await asyncio.create_subprocess_exec(
        *side.inside(prepared(side, folder)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await side.listening(5060)
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
