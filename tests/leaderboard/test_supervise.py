"""`serve` keeps the pages up whatever becomes of a worker."""

import sys
import threading
import time

import pytest

from leaderboard import supervise

ENDS_WITH_2 = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(2)"
STAYS = "import time; time.sleep(60)"


@pytest.fixture
def supervised(monkeypatch):
    """Run programs that are given as code under a supervisor; returns it, its thread and what it returned."""
    monkeypatch.setattr(supervise.signal, "signal", lambda *_: None)  # only the main thread may
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS", 0.5)
    made = []

    def run(*programs):
        real = supervise.subprocess.Popen
        monkeypatch.setattr(
            supervise.subprocess, "Popen", lambda command, **given: real([sys.executable, "-c", *command[3:]], **given)
        )
        supervisor, codes = supervise.Supervisor(programs), []
        thread = threading.Thread(target=lambda: codes.append(supervisor.run()))
        thread.start()
        made.append((supervisor, thread))
        return supervisor, thread, codes

    yield run
    for supervisor, thread in made:
        supervisor.stop.set()
        thread.join(20)


def wait_until(seen):
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_ends_with_bad_input_again_and_again_leaves_the_pages_up(supervised, tmp_path):
    """As when the database is away for over a minute, or the disk is full."""
    ends = tmp_path / "ends"
    supervisor, thread, codes = supervised([STAYS], [ENDS_WITH_2, str(ends)])
    wait_until(lambda: ends.exists() and len(ends.read_text()) >= 5)
    assert thread.is_alive()
    assert supervisor._kept[0].process.poll() is None
    supervisor.stop.set()
    thread.join(20)
    assert codes == [0]


def test_a_worker_that_cannot_live_is_not_started_without_a_pause(supervised, tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "_PAUSE_SECONDS", 60)
    ends = tmp_path / "ends"
    _, thread, _ = supervised([STAYS], [ENDS_WITH_2, str(ends)])
    wait_until(lambda: ends.exists() and len(ends.read_text()) == 3)
    time.sleep(1)
    assert len(ends.read_text()) == 3
    assert thread.is_alive()


def test_pages_that_cannot_be_served_end_everything_with_their_code(supervised, tmp_path):
    _, thread, codes = supervised([ENDS_WITH_2, str(tmp_path / "ends")], [STAYS])
    thread.join(30)
    assert codes == [2]
