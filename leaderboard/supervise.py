"""`serve`: run the web process and the workers side by side and restart each when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from .logs import say
from .processes import end_with_parent

_QUICK_SECONDS = 5.0
_MOST_QUICK_ENDS = 3
_PAUSE_SECONDS = 10.0


class _Kept:
    """A process that is restarted when it ends, with a pause if it has repeatedly ended at once."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = [sys.executable, "-m", str(__package__), *command]
        self.quick_ends = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, preexec_fn=end_with_parent)
        self.started, self.due = time.monotonic(), 0.0

    @property
    def cannot_live(self) -> bool:
        return self.quick_ends >= _MOST_QUICK_ENDS

    def look(self) -> None:
        """Check whether the process has ended, and restart it when that is due."""
        code, now = self.process.poll(), time.monotonic()
        if code is None:
            return
        if not self.due:
            self.quick_ends = self.quick_ends + 1 if now - self.started < _QUICK_SECONDS else 0
            self.due = now + (_PAUSE_SECONDS if self.cannot_live else 0)
            say("process ended and will be restarted", command=self.command[3], code=code, in_seconds=self.due - now)
        if now >= self.due:
            self.start()


class Supervisor:
    """Keeps processes of this program running. If the first one cannot stay alive, all of them end.

    Settings are checked before anything starts, so no exit code is final: a worker without its database or disk exits
    with the code for bad input, and the pages go on without it.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self.commands = commands
        self.stop = threading.Event()
        self._kept: list[_Kept] = []

    def run(self) -> int:
        """Run until a signal stops it; return a nonzero exit code if the first process cannot stay alive."""
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
