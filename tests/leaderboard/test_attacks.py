"""Attacks on the labels of hidden splits, through HTTP and through the programs of the bundles.

Each measures what it learns. Against the code before the protection of `leaderboard/hidden.py`, every one succeeded.
"""

import json
import os
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest

from earthreason.masks.rle import decode_rle
from leaderboard.engines.bundles import phases_of
from leaderboard.engines.codabench import write_codabench
from leaderboard.engines.evalai import write_evalai
from leaderboard.splits import SplitContent, put_split
from tests.leaderboard.attacks import AreaAttack, as_file, make_regions, mutual_information, recovered
from tests.leaderboard.test_engines import unpack

PIXELS = 12


@pytest.fixture(scope="module")
def regions():
    return make_regions()


# --- the server ------------------------------------------------------------------------------------------------------


def test_28_categories_are_no_28_gauges(hand, regions):
    """Three submissions used to give 81 areas of targets within 0.33 % of the image."""
    patient = {"time_limit": 200, "lease_seconds": 300.0}
    hand.worker.settings = hand.worker.settings.model_copy(update=patient)
    with hand.worker.database.write() as session:
        put_split(session, "toy", "regions", SplitContent(regions, None), hidden=True)
    areas = {}
    for turn in range(3):
        attack = AreaAttack(regions, turn)
        submission_id = hand.submit(attack.file(), split="toy/regions")
        assert hand.score() == 1
        areas |= attack.read(hand.get(submission_id).json()["result"])
    assert recovered(regions, areas) == 0


# --- bundles ---------------------------------------------------------------------------------------------------------


def probes(references):
    """Files that mark a single pixel of one image, half of them in a target, and whether they are."""
    rng = np.random.default_rng(3)
    names = [name for name in references if not references[name].is_empty]
    files, labels = [], []
    for n in range(PIXELS):
        name = names[int(rng.integers(len(names)))]
        inside = decode_rle(references[name].segmentation)
        places = np.argwhere(inside == bool(n % 2))
        mask = np.zeros_like(inside)
        mask[tuple(places[int(rng.integers(len(places)))])] = True
        files.append(as_file({name: mask}, references))
        labels.append(bool(n % 2))
    return files, labels


def answers_of(program, code, *arguments):
    """Run code beside a bundle's program, as a host does; returns what it prints."""
    (program / "probe.py").write_text(f"import sys\nsys.path.insert(0, {str(program)!r})\n{code}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(program / "probe.py"), *map(str, arguments)],
        cwd=program.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


ASK_CODABENCH = """
import json, pathlib
from leaderboard.engines.scoring import run_codabench
for number in range(int(sys.argv[3])):
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]) / str(number)
    (source / "res" / "p.json").write_bytes((source / f"{number}.json").read_bytes())
    assert run_codabench(["score.py", str(source), str(target)]) == 0
"""
ASK_EVALAI = """
import json
from evaluation_script import evaluate
for number in range(int(sys.argv[3])):
"""


def test_one_pixel_tells_nothing_on_codabench(tmp_path, references):
    """Precision used to be 100.00 or 0.00, and gIoU had 17 digits."""
    files, labels = probes(references)
    write_codabench(tmp_path / "bundle.zip", phases_of({"test": references}, datetime(2026, 1, 1), 30, 5), "x", "x")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    program = unpack(bundle / "scoring_program.zip", tmp_path / "program")
    unpack(bundle / "reference_test.zip", tmp_path / "input" / "ref")
    (tmp_path / "input" / "res").mkdir()
    for number, file in enumerate(files):
        (tmp_path / "input" / f"{number}.json").write_bytes(file)
    answers = answers_of(program, ASK_CODABENCH, tmp_path / "input", tmp_path / "output", PIXELS)
    assert mutual_information(labels, [json.dumps(answer) for answer in answers]) == 0


def test_one_pixel_tells_nothing_on_evalai(tmp_path, references):
    files, labels = probes(references)
    write_evalai(tmp_path / "bundle.zip", phases_of({"test": references}, datetime(2026, 1, 1), 30, 5), "x")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    unpack(bundle / "evaluation_script.zip", bundle / "evaluation_script")
    for number, file in enumerate(files):
        (tmp_path / f"{number}.json").write_bytes(file)
    answers = answers_of(bundle, ASK_EVALAI, bundle / "annotations" / "test.json", tmp_path, PIXELS)
    assert mutual_information(labels, [json.dumps(answer) for answer in answers]) == 0
