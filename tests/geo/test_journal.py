import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.geo.grid import Window
from earthreason.geo.journal import Journal, locked
from tests.geo.fakes import ArrayScene, ShadeModel, noise
from tests.geo.test_asking import Inside, ask, masks_and_probabilities

IDENTITY = {"scene": "a.tif", "questions": ["1", "3"]}


@pytest.fixture
def scene():
    return ArrayScene(noise(150, 130))


def answers(scene, folder, questions=("1", "3"), model=None):
    journal = Journal(folder, IDENTITY, "now")
    return ask(scene, list(questions), rows=journal, model=model, tmp=folder)[1]


def same(ours, theirs):
    pairs = zip(masks_and_probabilities(ours), masks_and_probabilities(theirs), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


class Stopping(ShadeModel):
    """Stops after some tiles, as Ctrl+C does."""

    def __init__(self, tiles):
        super().__init__()
        self.left = tiles

    def score_tiles(self, tiles, questions):
        for tile in tiles:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield from super().score_tiles([tile], questions)


def test_answers_on_disk_are_those_in_memory_in_any_window(scene, tmp_path):
    _, here, _ = ask(scene, ["1", "3"])
    there = answers(scene, tmp_path / "run")
    for ours, theirs in zip(there, here, strict=True):
        assert same(ours, theirs)
        for window in (Window(3, 20, 90, 60), Window(0, 149, 130, 1), Window(129, 0, 1, 150), Window(64, 31, 1, 1)):
            assert np.array_equal(ours.probability(window), theirs.probability(window))


def test_blocks_of_a_strip_are_put_together_also_where_whole_blocks_have_no_data(tmp_path, monkeypatch):
    monkeypatch.setattr("earthreason.geo.journal.BLOCK_ROWS", 7)
    monkeypatch.setattr("earthreason.geo.blending.COLUMNS", 16)
    valid = np.zeros((150, 700), bool)
    valid[40:52, 300:330] = valid[149, 699] = True
    scene = ArrayScene(noise(150, 700), valid)
    _, here, _ = ask(scene, ["1", "3"])
    there = answers(scene, tmp_path / "run")
    for ours, theirs in zip(there, here, strict=True):
        assert same(ours, theirs)
        assert np.array_equal(~np.isnan(ours.probability(ours.grid.whole)), valid)
        for window in (Window(3, 20, 690, 60), Window(127, 41, 258, 9), Window(699, 149, 1, 1)):
            assert np.array_equal(ours.probability(window), theirs.probability(window), equal_nan=True)


def test_what_has_no_data_takes_no_room(tmp_path):
    valid = np.zeros((600, 600), bool)
    valid[:9, :9] = True
    answers(ArrayScene(noise(600, 600), valid), tmp_path / "empty")
    answers(ArrayScene(noise(600, 600)), tmp_path / "full")
    empty, full = (sum(path.stat().st_size for path in (tmp_path / n).glob("strip-*")) for n in ("empty", "full"))
    assert empty < full / 20


@pytest.mark.parametrize("tiles", [0, 1, 7, 11, 24])
def test_a_stopped_run_goes_on_and_answers_as_one_in_one_go(scene, tmp_path, tiles):
    with pytest.raises(KeyboardInterrupt):
        answers(scene, tmp_path / "run", model=Stopping(tiles))
    model = ShadeModel()
    found = answers(scene, tmp_path / "run", model=model)
    _, expected, whole = ask(scene, ["1", "3"])
    assert len(model.calls) == len(whole.calls) - tiles // 6 * 6  # finished rows of 6 tiles are not asked again
    assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_a_killed_process_goes_on(tmp_path):
    script = (
        "import sys, time\n"
        "from tests.geo.test_journal import ArrayScene, ShadeModel, Path, answers, noise\n"
        "class Slow(ShadeModel):\n"
        "    def score_tiles(self, tiles, questions):\n"
        "        time.sleep(0.05)\n"
        "        yield from super().score_tiles(tiles, questions)\n"
        "answers(ArrayScene(noise(150, 130)), Path(sys.argv[1]), model=Slow())\n"
        "time.sleep(60)\n"
    )
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": "."})
    try:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("row-*.json"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finished = len(list(folder.glob("row-*.json")))
    model = ShadeModel()
    scene = ArrayScene(noise(150, 130))
    found = answers(scene, folder, model=model)
    _, expected, whole = ask(scene, ["1", "3"])
    assert len(model.calls) == len(whole.calls) - 6 * finished
    assert all(same(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_an_area_of_many_rows_goes_on_too(tmp_path):
    scene = ArrayScene(noise(200, 200))
    inside = np.random.default_rng(0).random((200, 200)) > 0.2
    window = Window(50, 41, 120, 130)
    rest = {"area": Inside(inside), "window": window}
    _, expected, _ = ask(scene, ["1"], **rest)
    for tiles in (3, 5, 5, 5):
        with pytest.raises(KeyboardInterrupt):
            ask(scene, ["1"], rows=Journal(tmp_path, IDENTITY, ""), model=Stopping(tiles), tmp=tmp_path, **rest)
    _, found, _ = ask(scene, ["1"], rows=Journal(tmp_path, IDENTITY, ""), tmp=tmp_path, **rest)
    assert same(found[0], expected[0])


def test_a_run_with_other_settings_is_refused(scene, tmp_path):
    answers(scene, tmp_path / "run")
    with pytest.raises(EarthReasonError, match=r"unfinished run that differs in questions; finish it .* or delete"):
        Journal(tmp_path / "run", {**IDENTITY, "questions": ["2"]}, "later")
    assert Journal(tmp_path / "run", IDENTITY, "later").started == "now"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(EarthReasonError, match="not an unfinished run"):
        Journal(tmp_path / "run", IDENTITY, "")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def spoil_row(folder):
    (folder / "row-000000.json").write_text("{}")


def spoil_start(folder):
    (folder / "run.json").write_text(json.dumps([1]))


def spoil_strip(folder):
    path = folder / "strip-000001.npz"
    path.write_bytes(path.read_bytes()[:40])


def spoil_carry(folder):
    path = next(folder.glob("carry-*"))
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize("spoil", [spoil_row, spoil_start, spoil_strip, spoil_carry])
def test_a_damaged_run_is_named(scene, tmp_path, spoil):
    with pytest.raises(KeyboardInterrupt):
        answers(scene, tmp_path / "run", model=Stopping(14))
    spoil(tmp_path / "run")
    with pytest.raises(DataFormatError, match="delete .*run to start again"):
        masks_and_probabilities(answers(scene, tmp_path / "run")[0])


def test_a_full_disk_leaves_whole_rows_and_the_run_goes_on(scene, tmp_path, monkeypatch):
    real, folder = Path.open, tmp_path / "run"

    def full(self, mode="r", *args, **options):
        if "w" in mode and self.name == "carry-000002.raw":
            return real(Path("/dev/full"), mode, *args, **options)
        return real(self, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        answers(scene, folder)
    monkeypatch.undo()
    assert len(list(folder.glob("row-*.json"))) == 2
    _, expected, _ = ask(scene, ["1", "3"])
    assert same(answers(scene, folder)[0], expected[0])


def test_the_folder_is_removed_at_the_end(scene, tmp_path):
    answers(scene, tmp_path / "run")
    Journal(tmp_path / "run", IDENTITY, "").remove()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_work_in_one_folder(tmp_path):
    with locked(tmp_path / "run"):
        holder = "import fcntl, os, sys\nfcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = subprocess.run(
            [sys.executable, "-c", holder, str(tmp_path / "run")], capture_output=True, text=True, check=False
        )
        assert "BlockingIOError" in other.stderr
        with pytest.raises(EarthReasonError, match="another run is working in .*run; wait"), locked(tmp_path / "run"):
            pass
    with locked(tmp_path / "run"):
        pass
