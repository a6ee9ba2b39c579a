"""Interrupts of commands that run several processes. The exit code 130 is the shell's convention for SIGINT."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from earthreason.processes import process_pool, run_in_order


def test_an_interrupt_ends_a_worker_at_once_instead_of_raising_in_it() -> None:
    with process_pool(1) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(signal.raise_signal, signal.SIGINT).result(timeout=30)


class Fragile:
    """Interrupts this process when it is deleted, where Python drops the exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_in_a_finaliser_is_not_taken_for_dead_workers() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), process_pool(1) as pool:
        Fragile()
        pool.submit(signal.raise_signal, signal.SIGINT).result(timeout=30)
    assert signal.getsignal(signal.SIGINT) is before


def test_workers_that_die_after_the_results_were_closed_cause_no_error_in_a_thread(monkeypatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda given: raised.append(given.exc_value))
    with process_pool(1) as pool:
        results = run_in_order(pool, time.sleep, [(0.0,), *[(0.4,)] * 20])
        assert next(results) is None
        last = pool.submit(time.sleep, 0.0)  # the thread of the pool fails the others before it
        results.close()
        for worker in multiprocessing.active_children():
            worker.kill()
        with pytest.raises(BrokenProcessPool):
            last.result(timeout=30)
    assert not raised


def test_results_come_in_the_order_of_the_jobs() -> None:
    jobs = [(number, 2) for number in range(11)]
    with process_pool(2) as pool:
        assert list(run_in_order(pool, pow, jobs, chunk=3)) == [number**2 for number in range(11)]


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
    assert process.returncode == 130, errors.decode()
    assert b"Traceback" not in errors
    assert not list(tmp_path.iterdir())
