"""Interrupts of commands that run several processes. The exit code 130 is the shell's convention for SIGINT."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import pytest

from earthreason.processes import process_pool, run_in_order


@contextmanager
def handled_by(handler: signal.Handlers | Callable[..., object]) -> Iterator[None]:
    """Set what an interrupt does here and in programs that are started; as a background job, tests ignore it."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    with handled_by(signal.default_int_handler):
        yield


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_a_worker_at_once_instead_of_raising_in_it() -> None:
    with process_pool(1) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(signal.raise_signal, signal.SIGINT).result(timeout=30)


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


def interrupt_synth(folder: Path, scenes: int) -> tuple[int, str]:
    """Interrupt a synth with two workers after its first picture; return its exit code and what it printed."""
    command = [sys.executable, "-m", "earthreason", "synth", "--workers", "2", "--size", "96", "--n", str(scenes)]
    process = subprocess.Popen(
        [*command, "--out", str(folder / "scenes")], stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not any(folder.rglob("*.png")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, errors.decode()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_synth_with_workers_ends_and_leaves_nothing(tmp_path: Path) -> None:
    code, errors = interrupt_synth(tmp_path, scenes=20_000)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_a_synth_that_ignores_interrupts_as_a_background_job_finishes(tmp_path: Path) -> None:
    with handled_by(signal.SIG_IGN):
        code, errors = interrupt_synth(tmp_path, scenes=600)
    assert code == 0, errors
    assert len(list((tmp_path / "scenes").rglob("images/*"))) == 600
