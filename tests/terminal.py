"""Run a command whose standard error is a real terminal, as that of a person is."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVAL = "import sys; from earthreason.cli.main import run_evaluate; sys.argv[0] = 'earthreason-eval'; run_evaluate()"
"""Code that runs `earthreason-eval`."""
_HUSHED = ("NO_COLOR", "TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


def at_terminal(*arguments: str, module: str = "earthreason", code: str | None = None, **variables: str):
    """Run `python -m module`, or `code`; return exit code, standard output and what the terminal got."""
    main, other = pty.openpty()
    termios.tcsetwinsize(other, (40, 100))
    environment = {name: value for name, value in os.environ.items() if name not in _HUSHED}
    program = ["-m", module] if code is None else ["-c", code]
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", **variables},
        stdout=subprocess.PIPE,
        stderr=other,
        text=True,
    )
    os.close(other)
    shown = bytearray()
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux reports so that nobody has the other end any more
            break
        if not part:
            break
        shown += part
    os.close(main)
    output = process.communicate()[0]
    return process.returncode, output, shown.decode()
