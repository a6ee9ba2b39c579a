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

_QUICK_SECONDS = 2.0


class Supervisor:
    """Keeps processes of this program running."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self.commands = [[sys.executable, "-m", "leaderboard", *command] for command in commands]
        self.stop = threading.Event()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._started: list[float] = []

    def run(self) -> int:
        """Until stopped by a signal; returns 1 if a process cannot stay alive at all."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self.processes = [self._start(command) for command in self.commands]
        self._started = [time.monotonic()] * len(self.processes)
        quick_ends = 0
        while not self.stop.wait(0.2):
            for index, process in enumerate(self.processes):
                if process.poll() is None:
                    continue
                lived = time.monotonic() - self._started[index]
                quick_ends = quick_ends + 1 if lived < _QUICK_SECONDS else 0
                if quick_ends >= 3 or process.returncode == 2:  # bad settings will not get better
                    self._end_all()
                    return process.returncode if process.returncode > 0 else 1
                say("process started again", command=self.commands[index][3], code=process.returncode)
                self.processes[index] = self._start(self.commands[index])
                self._started[index] = time.monotonic()
        self._end_all()
        return 0

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, preexec_fn=end_with_parent)

    def _end_all(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
