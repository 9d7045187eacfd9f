"""`make run-calls`: the demo school with a trunk on this machine, at whose end a telephone takes every call, and says it back.

Everything listens on this machine's own address, because Janus offers browsers no loopback.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import ifaddr

from tests.calls import phones
from tests.calls.ears import wav

NUMBER = "+441632960123"  # the demo school's; Ofcom keeps these for plays
TELEPHONE, ECHO = 5070, 47010


def main() -> int:
    address = own_address()
    if address is None:
        print("This needs a network address besides loopback: Janus offers browsers no other.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="chaperone-telephone-") as name:
        folder = Path(name)
        answers = phones.RINGING + '<pause milliseconds="2000"/>' + phones.answer("200 OK", sdp=True) + phones.ACK + phones.BYE
        scenario = phones.scenario(answers).replace("[rtpstream_audio_port]", "[media_port]")
        (folder / "family.xml").write_text(scenario)
        quiet = subprocess.DEVNULL
        telephone = subprocess.Popen(
            ["sipp", "-sf", str(folder / "family.xml"), "-i", address, "-p", str(TELEPHONE), "-mi", address, "-mp", str(ECHO),
             "-rtp_echo", "-nostdin"], stdin=quiet, stdout=quiet, stderr=quiet)
        trunk = {"HOST": address, "PORT": str(TELEPHONE), "NUMBER": NUMBER, "ADDRESS": address,
                 "MESSAGE": str(wav(folder / "message.wav", 620, 3))}
        print(f"A family's telephone at {address}:{TELEPHONE} takes every call. The school shows {NUMBER}.", flush=True)
        try:
            return subprocess.run([sys.executable, "-m", "service", "dev", *sys.argv[1:]], check=False,
                                  env=os.environ | {f"CHAPERONE_TRUNK_{name}": value for name, value in trunk.items()}).returncode
        except KeyboardInterrupt:
            return 0
        finally:
            telephone.kill()
            telephone.wait()


def own_address() -> str | None:
    found = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4)
    return next((address for address in found if isinstance(address, str) and not address.startswith("127.")), None)


if __name__ == "__main__":
    sys.exit(main())
