"""Forwarding, beside Janus: the same load, cipher and processors in the same minutes; the ratio is what counts.

Goals, with the screen share: at most 0.8 of Janus' processor time for each forwarded packet with recording off, and at most
1.0 with recording on, where ours encrypts and Janus writes in clear.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import netns
from tests.bench import janus, processor

GOALS = {"off": 0.8, "on": 1.0}
PART = {"lesson": "lesson of 30: a camera, three speakers", "screen": "the same with a screen share"}


def main(seconds: float = 8.0, rounds: int = 2) -> bool:
    """Measure in a network of its own if this machine allows; without, and without Janus, only ours on loopback."""
    missing = [name for name, there in (("Janus (on Debian: apt install janus)", janus.installed()),
                                        ("the right to make a network namespace", netns.available())) if not there]
    if missing:
        print(f"Measuring without the peer; missing: {'; '.join(missing)}.")
        return report(measure("127.0.0.1", with_janus=False, seconds=seconds, rounds=rounds))
    command = [sys.executable, "-m", "tests.bench.media", "inside", str(seconds), str(rounds)]
    limit = 60 + 8 * rounds * (2 * seconds + 30)
    inside = subprocess.run(netns.inside(command), stdout=subprocess.PIPE, text=True, check=True, timeout=limit)
    return report(json.loads(inside.stdout.splitlines()[-1]))


def measure(address: str, *, with_janus: bool, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Every server in turn, with and without recording, `rounds` times, so that a busy minute strikes all alike."""
    targets = ["ours", "janus"] if with_janus else ["ours"]
    found = []
    for number in range(rounds):
        for recording in ("off", "on"):
            for target in targets:
                print(f"round {number + 1} of {rounds}: {target}, recording {recording} …", file=sys.stderr, flush=True)
                result = once(target, address, recording == "on", seconds)
                found.append({"target": target, "recording": recording, **result})
    return found


def once(target: str, address: str, recording: bool, seconds: float, members: int = 30) -> dict[str, Any]:
    """One server on one processor, the load on the other."""
    with tempfile.TemporaryDirectory(prefix="chaperone-bench-") as name:
        folder = Path(name)
        recordings = str(folder / "recordings") if recording else ""
        if recording:
            Path(recordings).mkdir()
        for_server, for_load = processor.two()
        if target == "ours":
            where = str(folder / "control")
            command = [sys.executable, "-m", "tests.bench.host", address, where, recordings]
        else:
            where = str(_free_port())
            command = janus.command(folder / "janus", int(where))
        log = folder / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=lambda: processor.alone(for_server))
        try:
            _wait_for(target, where, server)
            load = [sys.executable, "-m", "tests.bench.load", target, where, recordings, address, str(members), str(server.pid),
                    str(seconds)]
            ran = subprocess.run(load, capture_output=True, text=True, timeout=60 + 3 * seconds + 20, check=False,
                                 preexec_fn=lambda: processor.alone(for_load))
            if ran.returncode != 0 or not ran.stdout:
                raise RuntimeError(f"{target}: {ran.stderr[-2000:]}\n{log.read_text(errors='replace')[-2000:]}")
            written = sum(path.stat().st_size for path in Path(recordings).rglob("*")) if recording else 0
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        return {**json.loads(ran.stdout.splitlines()[-1]), "written": written}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(target: str, where: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        with socket.socket(socket.AF_UNIX if target == "ours" else socket.AF_INET) as probe:
            try:
                if target == "ours":
                    if Path(where).exists():
                        return
                else:
                    probe.connect(("127.0.0.1", int(where)))
                    return
            except OSError:
                pass
        time.sleep(0.05)
    raise RuntimeError(f"{target} did not start")


def report(found: list[dict[str, Any]]) -> bool:
    """Print the best round of each, which is the one least disturbed, and say whether the goals are met."""
    ciphers = " and ".join(sorted({result["profile"] for result in found}))
    print(f"\nForwarding over {ciphers}: microseconds of the server's processor for each packet forwarded\n")
    print(f"{'':<40}recording  packets/s  Chaperone   Janus   ratio   lost of")
    met = True
    for part, words in PART.items():
        for recording in ("off", "on"):
            ours, theirs = (_best(found, target, recording, part) for target in ("ours", "janus"))
            assert ours is not None
            ratio = ours["us_per_packet"] / theirs["us_per_packet"] if theirs else None
            met = met and not ours["undecryptable"] and (part != "screen" or ratio is None or ratio <= GOALS[recording])
            beside = f"{theirs['us_per_packet']:8.2f}{ratio:8.2f}" if theirs else f"{'-':>8}{'-':>8}"
            lost = f"{ours['lost']}" + (f" and {theirs['lost']}" if theirs else "")
            print(f"{words:<40}{recording:<9}{ours['out_pps']:>11}{ours['us_per_packet']:>11.2f}{beside}   "
                  f"{lost} of {ours['expected']}")
    if any(result["target"] == "janus" for result in found):
        print(f"\nGoals with the screen share: {GOALS['off']} without recording, {GOALS['on']} with (ours encrypts, Janus writes "
              f"in clear): {'met' if met else 'NOT met'}.")
    return met


def _best(found: list[dict[str, Any]], target: str, recording: str, part: str) -> dict[str, Any] | None:
    rounds = [result[part] for result in found if (result["target"], result["recording"]) == (target, recording)]
    return min(rounds, key=lambda measured: float(measured["us_per_packet"]), default=None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        print(json.dumps(measure(netns.ADDRESS, with_janus=True, seconds=float(sys.argv[2]), rounds=int(sys.argv[3]))))
    else:
        main()
