"""Kills a back-up, and then a restore, by SIGKILL before each of its steps, and looks each time at what is left.

Each runs in a child of this process, which itself does nothing but fork: what a test imports takes longer than all of them.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recordings import durable
from service.backup import command, restoring, trying
from service.backup.saving import save
from service.backup.target import Target
from service.foundation.clock import SystemClock
from service.foundation.settings import Settings
from service.wiring import SUBSCRIBERS


def child(work: Callable[[], Any]) -> int:
    """How a child ended that did this: its exit code, or minus the signal."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() in (None, 0, []) else 3)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dying_at(step: int, *places: tuple[Any, str]) -> None:
    """From here on, instead of its `step`-th call of one of these, this process is killed."""
    left = [step]

    def counted(what: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return what(*given, **more)
        return call

    for owner, name in places:
        setattr(owner, name, counted(getattr(owner, name)))


def main(data: str, to: str, keys_to: str, identity: str, new: str) -> None:
    clock, places = SystemClock(), (to, keys_to)
    keys = restoring.identities(Path(identity))
    settings = Settings(data=Path(data), backup_recipients=str(keys[0].to_public()))
    aside = trying.Aside(Path(f"{new}-tried/data"), Path(f"{new}-tried/keys"))

    def targets() -> tuple[Target, Target]:
        return Target(places[0], "data", None), Target(places[1], "keys", None)

    def is_usable() -> list[str]:
        return asyncio.run(trying.tried(restoring.opened(*targets(), keys), aside, clock, lambda words: None))

    def back_up(step: int) -> None:
        dying_at(step, (Target, "put"), (Target, "delete"), (durable, "erase"))
        save(settings, *targets(), clock.now(), lambda words: None)

    def restore(step: int) -> int:
        dying_at(step, (durable, "write"), (durable, "sync_folder"), (restoring, "_file"), (restoring, "verified"),
                 (restoring, "all_came_back"), (restoring, "put_in_place"), (restoring, "_move"), (restoring, "forget"))
        return asyncio.run(command.put_back(restoring.opened(*targets(), keys), Settings(data=Path(new)), clock, SUBSCRIBERS))

    killed = every(back_up, is_usable, 1)
    assert child(is_usable) == 0
    killed += every(restore, lambda: None, 5)
    assert (Path(new) / "chaperone.sqlite3").exists()
    assert not (Path(new) / restoring.ASIDE).exists()
    print(f"killed {killed} times\nall survived", flush=True)


def every(work: Callable[[int], Any], look: Callable[[], Any], stride: int) -> int:
    """Kill it at each `stride`-th step, until it comes to its end."""
    step = 0
    while True:
        ended = child(lambda at=step: work(at))  # type: ignore[misc]
        if ended == 0:
            assert step > 3, "it was killed at least a few times"
            return step // stride
        assert ended == -signal.SIGKILL, f"at step {step} it ended as {ended}"
        assert child(look) == 0, f"after step {step} nothing can be restored"
        step += stride


if __name__ == "__main__":
    main(*sys.argv[1:])
