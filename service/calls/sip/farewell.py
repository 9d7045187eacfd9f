"""Hang up on everybody whom the edge has on, when the service was killed and nobody is left to do it.

A program of its own that needs Python alone: the shell that outlives the service runs it (`processes`). Where a browser calls,
Janus does as much; two telephones have nobody else.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

WITHIN = 1.5


def exchange(folder: Path, method: str, params: list[Any], within: float = WITHIN) -> Any:
    """What the edge answers to one question (JSON-RPC, through the socket file in its folder); None for nothing in time."""
    request = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    own = folder / f"ask-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.settimeout(within)
            asking.bind(str(own))
            asking.sendto(request, str(folder / "edge"))
            return json.loads(asking.recv(1 << 20)).get("result")
        except (OSError, ValueError):
            return None
        finally:
            own.unlink(missing_ok=True)


def ending(dialog: dict[str, Any]) -> tuple[str, list[Any]]:
    """What ends one call of the edge's list: a goodbye to both ends, or an end of the ringing."""
    if dialog.get("state") in (3, 4):
        return "dlg.end_dlg", [dialog["h_entry"], dialog["h_id"]]
    return "tm.cancel", [dialog.get("call-id", ""), str(dialog.get("caller", {}).get("cseq", ""))]


if __name__ == "__main__":
    at = Path(sys.argv[1])
    for each in exchange(at, "dlg.list", []) or []:
        exchange(at, *ending(each))
