"""`serve`: the web process and the workers side by side, each started again when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from leaderboard.logs import say
from leaderboard.processes import end_with_parent

_QUICK_SECONDS = 5.0
_MOST_QUICK_ENDS = 3
_PAUSE_SECONDS = 10.0


class _Kept:
    """A process that is started again when it ends; after a pause when it ended at once several times."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = [sys.executable, "-m", "leaderboard", *command]
        self.quick_ends = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, preexec_fn=end_with_parent)
        self.started, self.due = time.monotonic(), 0.0

    @property
    def cannot_live(self) -> bool:
        return self.quick_ends >= _MOST_QUICK_ENDS

    def look(self) -> None:
        """Notice its end, and start it again when that is due."""
        code, now = self.process.poll(), time.monotonic()
        if code is None:
            return
        if not self.due:
            self.quick_ends = self.quick_ends + 1 if now - self.started < _QUICK_SECONDS else 0
            self.due = now + (_PAUSE_SECONDS if self.cannot_live else 0)
            say("process ended and is started again", command=self.command[3], code=code, in_seconds=self.due - now)
        if now >= self.due:
            self.start()


class Supervisor:
    """Keeps processes of this program running. The first is what the others are there for: it alone ends them all.

    Settings are checked before anything is started, so no exit code of a process says that it cannot get better: a
    worker whose database or disk is away ends with the code of bad input, and the pages go on without it.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self.commands = commands
        self.stop = threading.Event()
        self._kept: list[_Kept] = []

    def run(self) -> int:
        """Until stopped by a signal; returns another exit code than 0 if the first process cannot stay alive."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self._kept = [_Kept(command) for command in self.commands]
        first = self._kept[0]
        while not self.stop.wait(0.2) and not first.cannot_live:
            for kept in self._kept:
                kept.look()
        self._end_all()
        if not first.cannot_live:
            return 0
        return max(first.process.returncode, 1)

    def _end_all(self) -> None:
        processes = [kept.process for kept in self._kept]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
