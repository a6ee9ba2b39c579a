"""The recording of the loop: what programs print, one step marked at a time, in a small file that repeats."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.loop_picture import HEIGHT, STEPS, WIDTH, Scene, draw, run, save
from tests.conftest import ROOT


def test_the_picture_of_the_docs_is_small_moves_and_repeats():
    path = ROOT / "docs" / "images" / "loop.gif"
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        assert picture.n_frames >= 2 * len(STEPS)
        assert picture.info["loop"] == 0
        lengths = []
        for number in range(picture.n_frames):
            picture.seek(number)
            lengths.append(picture.info["duration"])
    assert min(lengths) >= 500
    assert sum(lengths) < 60_000


def test_frames_have_their_lengths_and_the_last_is_as_drawn(tmp_path):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    save(tmp_path / "a.gif", frames, [0.5, 1.0, 2.0])
    with Image.open(tmp_path / "a.gif") as picture:
        found = []
        for number in range(picture.n_frames):
            picture.seek(number)
            found.append((picture.info["duration"], picture.convert("RGB").getpixel((5, 5))))
    assert found == [(500, (255, 0, 0)), (1000, (0, 128, 0)), (2000, (0, 0, 255))]


def test_a_program_that_fails_ends_the_recording(tmp_path):
    assert run("earthreason-eval --help", tmp_path)
    with pytest.raises(SystemExit, match=r"no-such\.json"):
        run("earthreason-eval no-such.json", tmp_path)


@pytest.mark.browser
def test_a_frame_shows_text_as_text_and_the_picture_inside_it(chromium):
    scenes = [Scene("load", [], 1), Scene("load", ["$ <b>echo</b>"], 1)]
    scenes.append(Scene("report", [], 1, Image.new("RGB", (3000, 2000), "red")))
    plain, text, picture = (np.asarray(frame) for frame in draw(scenes, chromium))
    assert plain.shape == (HEIGHT, WIDTH, 3)
    assert (plain != text).any()
    red = (picture[..., 0] > 200) & (picture[..., 1] < 60)
    rows = np.flatnonzero(red.any(axis=1))
    assert rows.max() < HEIGHT - 1
    assert rows.min() > 40
