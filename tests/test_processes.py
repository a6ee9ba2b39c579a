"""Interrupts of commands that run several processes. The exit code 130 is the shell's convention for SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from earthreason.processes import process_pool


def test_an_interrupt_ends_a_worker_at_once_instead_of_raising_in_it() -> None:
    with process_pool(1) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(signal.raise_signal, signal.SIGINT).result(timeout=30)


def test_an_interrupted_synth_with_workers_ends_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "earthreason", "synth", "--workers", "2", "--size", "96", "--n", "20000"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "scenes")], stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not any(tmp_path.rglob("*.png")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not list(tmp_path.iterdir())
