"""What a killed server left on disk goes when the next one starts; what is in use, or not a server's, stays."""

import signal
import subprocess
import sys

import pytest

from baselines.serve.results import Results

HOLD = """
import sys, time
from pathlib import Path
from baselines.serve.results import Results
results = Results(Path(sys.argv[1]), 60, 10**9)
print(results.folder, flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process with a folder of results."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    process.folder = type(tmp_path)(process.stdout.readline().strip())
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_folder_of_a_killed_server_goes_and_that_of_a_running_one_stays(tmp_path, other):
    (other.folder / "upload").write_bytes(b"x")
    first = Results(tmp_path, 60, 10**9)
    assert (other.folder / "upload").exists()
    other.send_signal(signal.SIGKILL)
    other.wait()
    second = Results(tmp_path, 60, 10**9)
    assert not other.folder.exists()
    assert first.folder.is_dir()
    for each in (first, second):
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_of_a_server_stays(tmp_path):
    unlocked = tmp_path / "earthreason-serve-notes"
    unlocked.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").write_bytes(b"")
    (tmp_path / "earthreason-serve-link").symlink_to(elsewhere)
    (tmp_path / "earthreason-serve-file").write_bytes(b"")
    Results(tmp_path, 60, 10**9).close()
    assert unlocked.is_dir()
    assert (elsewhere / "lock").exists()
    assert len(list(tmp_path.iterdir())) == 4
