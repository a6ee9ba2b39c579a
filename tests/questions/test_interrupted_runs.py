"""A run that is interrupted, and one that another process is at work on."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.questions.ledger import Ledger
from tests.interrupts import hear_interrupts
from tests.questions.test_pipeline import ROOT, shell
from tests.questions.test_runs import run_command


def interrupted(server, out, times):
    command = run_command(server, out, "--limit", "200", "--concurrency", "8")
    process = shell(command, start_new_session=True, preexec_fn=hear_interrupts)
    deadline = time.time() + 60
    while len(server.served) < 20 and time.time() < deadline:
        time.sleep(0.02)
    server.delay = 8.0
    time.sleep(1.0)  # now all in flight take eight seconds
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    began = time.time()
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors, time.time() - began


def rows_of(out, statement):
    with sqlite3.connect(out / "ledger.sqlite") as db:
        return db.execute(statement).fetchall()


def test_the_first_ctrl_c_keeps_what_is_in_flight(server, tmp_path):
    server.delay = 0.05
    code, errors, _ = interrupted(server, tmp_path / "run", 1)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert "answers; Ctrl-C again stops at once" in errors
    ((kept,),) = rows_of(tmp_path / "run", "SELECT COUNT(*) FROM calls")
    assert kept == len(server.served)
    assert f"interrupted: {kept} answers" in errors
    assert rows_of(tmp_path / "run", "SELECT * FROM requests") == []


def test_the_second_ctrl_c_stops_at_once_and_what_was_in_flight_is_perhaps_paid(server, tmp_path):
    server.delay = 0.05
    code, errors, seconds = interrupted(server, tmp_path / "run", 2)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert seconds < 3.0
    ((lost, usd),) = rows_of(tmp_path / "run", "SELECT COUNT(*), SUM(max_usd) FROM requests")
    assert lost == 8
    status = CliRunner().invoke(app, ["questions", "status", str(tmp_path / "run")]).output
    assert f"8 requests in flight, interrupted or timed out, perhaps paid: at most ${usd:.4f}" in status
    server.delay = 0.0
    ledger = Ledger(tmp_path / "run" / "ledger.sqlite")
    assert ledger.committed() == pytest.approx(ledger.spent() + usd)


def test_a_second_process_is_refused_in_one_line(server, tmp_path):
    server.delay = 5.0
    command = run_command(server, tmp_path / "run", "--limit", "60")
    first = shell(command, start_new_session=True)
    try:
        deadline = time.time() + 60
        while not server.served and time.time() < deadline:
            time.sleep(0.05)
        second = shell(command)
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 2
        assert "another process generates questions in this folder" in errors
        assert "Traceback" not in errors
        status = subprocess.run(
            [sys.executable, "-m", "earthreason", "questions", "status", str(tmp_path / "run")],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert status.returncode == 0
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
