"""`make bench`: every measurement, or those that are named (`python -m tests.bench media sign_ins`)."""

import subprocess
import sys

BENCHES = {
    "media": "forwarding, beside Janus",
    "recording": "the recorder",
    "first_picture": "from the press of Join to the teacher's picture, in Chromium",
    "sign_ins": "pupils signing in by badge",
    "deadlines": "how soon nothing arrives any more after a leave, a death, a revocation; and what the gate costs",
    "joins": "300 pupils at nine: badge, door, room and media",
    "join_requests": "what each request of such a join costs the processor",
    "answers": "300 parents answer on their phones within a minute, beside ten lessons and without",
    "playback": "the reviewer's first picture anywhere in an hour of thirty people, beside plain ffmpeg",
    "roster_import": "the largest roster import",
    "calls": "a call through the trunk, and one to the family's app, beside Janus alone",
    "backup": "2 GB of recordings backed up and restored, beside a plain copy",
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"There is no measurement called {unknown[0]}. There are: {', '.join(BENCHES)}.")
        return 2
    failed = 0
    for name in names or BENCHES:
        print(f"\n== {BENCHES[name]} ({name})", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
