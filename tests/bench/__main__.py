"""`make bench`: every measurement, or those that are named (`python -m tests.bench media`)."""

import sys

from tests.bench import media, recording, roster_import, sign_ins

BENCHES = {"media": media.main, "sign-ins": sign_ins.main, "import": roster_import.main, "recording": recording.main}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"There is no measurement called {unknown[0]}. There are: {', '.join(BENCHES)}.")
        return 2
    for name in names or BENCHES:
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
