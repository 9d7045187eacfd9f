"""`make run-calls`: the demo school with a trunk on this machine, at whose end a family's telephone takes every call.

The telephone says a quiet tone. Everything listens on this machine's own address, because Janus offers browsers no loopback.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import ifaddr

from tests.calls.ears import wav
from tests.calls.phones import CONFIGURATION

NUMBER = "+441632960001"  # Ofcom keeps these for plays
TELEPHONE = 5070


def main() -> int:
    address = own_address()
    if address is None:
        print("This needs a network address besides loopback: Janus offers browsers no other.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="chaperone-telephone-") as name:
        folder = Path(name)
        wav(folder / "said.wav", 440, 60)
        (folder / "config").write_text(CONFIGURATION.format(address=address, port=TELEPHONE, folder=folder, more=""))
        (folder / "accounts").write_text(
            f"<sip:family@{address}:{TELEPHONE}>;regint=0;answermode=auto;catchall=yes;audio_codecs=PCMA,PCMU\n")
        quiet = subprocess.DEVNULL
        telephone = subprocess.Popen(["baresip", "-f", name], stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
        trunk = {"HOST": address, "PORT": str(TELEPHONE), "NUMBER": NUMBER, "ADDRESS": address,
                 "MESSAGE": str(wav(folder / "message.wav", 620, 3))}
        print(f"A family's telephone answers every call. Trunk: {address}:{TELEPHONE}; the school shows {NUMBER}.", flush=True)
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
