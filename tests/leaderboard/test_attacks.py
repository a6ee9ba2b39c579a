"""Attacks on the labels of hidden splits, through HTTP and through the programs of the bundles.

Each measures what it learns. Against the code before the protection of `leaderboard/hidden.py`, every one succeeded.
"""

import json
import math
import os
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest

from earthreason.masks.rle import decode_rle
from earthreason.metrics.protocols import SEGEARTH_R1
from earthreason.predictions.reader import open_predictions
from leaderboard.engines.bundles import phases_of
from leaderboard.engines.codabench import write_codabench
from leaderboard.engines.evalai import write_evalai
from leaderboard.hidden import bits_of_totals, shown_figures
from leaderboard.scoring import score_predictions
from leaderboard.splits import SplitContent, put_split
from tests.leaderboard.attacks import AreaAttack, as_file, entropy, make_regions, mutual_information, recovered
from tests.leaderboard.test_engines import unpack
from tests.leaderboard.test_scoring import with_pixels_turned
from tests.leaderboard.test_server import ROOT
from tests.leaderboard.toys import LARGE_INSIDE, LARGE_OUTSIDE, make_large_squares, make_predictions

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


def final_groups(hand, submission_id):
    answer = hand.client.patch(f"/api/submissions/{submission_id}", json={"final": True}, headers=hand.headers())
    return answer, set(hand.get(submission_id).json()["result"]["protocols"]["segearth-r1"]["scores"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_groups_are_shown_once_for_a_team_large_and_in_whole_per_cent(hand, regions):
    """The areas stay unknown, and a second file cannot be made final to subtract the two."""
    hand.worker.settings = hand.worker.settings.model_copy(update={"time_limit": 200, "lease_seconds": 300.0})
    with hand.worker.database.write() as session:
        put_split(session, "toy", "regions", SplitContent(regions, None), hidden=True)
    first, second = (hand.submit(AreaAttack(regions, turn).file(), split="toy/regions") for turn in (0, 1))
    assert (
        hand.client.patch(f"/api/submissions/{first}", json={"final": True}, headers=hand.headers()).status_code == 409
    )  # not scored yet
    assert hand.score() == 2
    answer, groups = final_groups(hand, first)
    assert answer.status_code == 200
    sizes = {subset["key"]: subset["questions"] for subset in answer.json()["result"]["subsets"]}
    assert groups == sizes.keys() > {"all", "target: present"}
    assert min(sizes.values()) >= 100
    assert not any("category" in key for key in sizes)  # of 66 images
    cells = answer.json()["result"]["protocols"]["segearth-r1"]["scores"]["target: present"]
    assert all(cell == [round(cell[0], 2), None, None] for cell in cells.values())
    assert recovered(regions, AreaAttack(regions, 0).read(answer.json()["result"])) == 0
    answer, groups = final_groups(hand, second)
    assert (answer.status_code, groups) == (409, {"all"})
    assert first in answer.json()["error"]


def test_a_rank_does_not_compare_what_is_rounded_away(hand):
    """Two files whose scores differ only beyond the shown digits stand in the order of their publication."""
    references, content = make_large_squares()
    with hand.worker.database.write() as session:
        put_split(session, "toy", "large", SplitContent(references, None), hidden=True)
    better, worse = (with_pixels_turned(content, ["large_007"], *place) for place in (LARGE_INSIDE, LARGE_OUTSIDE))
    ids = [hand.published(file, split="toy/large") for file in (worse, content, better)]
    for sort in ("gIoU", "cIoU", "Pr@0.5"):
        for path in ("/api/board", "/api/board.csv", "/"):
            text = hand.client.get(f"{path}?split=toy/large&sort={sort}").text
            assert sorted(ids, key=text.index) == ids, path


def test_a_team_has_a_number_of_submissions_to_a_hidden_split_and_deleting_gives_none_back(hand, references, settings):
    hand.client.app.state.board.settings = settings.model_copy(update={"phase_limit": 2, "daily_limit": 9})
    first = hand.submit(make_predictions(references, 0))
    failed = hand.submit(b"[]")
    hand.score()
    assert hand.get(failed).json()["state"] == "failed"
    hand.submit(make_predictions(references, 1))
    refused = hand.announce(make_predictions(references, 2))
    assert (refused.status_code, "used its 2 submissions to" in refused.json()["error"]) == (429, True)
    assert hand.client.delete(f"/api/submissions/{first}", headers=hand.headers()).status_code == 204
    assert hand.announce(make_predictions(references, 2)).status_code == 429
    assert hand.announce(make_predictions(references, 0)).status_code == 429  # deleted, so it would be new
    assert hand.announce(make_predictions(references, 2), split="toy/open").status_code == 201


# --- the bound -------------------------------------------------------------------------------------------------------


def figures_of(record):
    return tuple(
        (name, metric, cell.value)
        for name, scores in record.protocols.items()
        for metric, cell in scores.scores["all"].items()
    )


def test_an_answer_is_a_function_of_its_figures_and_has_as_many_values_as_the_bound_says(tmp_path):
    """One file against many truths with the same public facts: what is beside the figures follows from them."""
    truths = [make_regions(seed, categories=4, each=27, side=16) for seed in range(40)]
    masks = {name: np.ones((16, 16), bool) for name in list(truths[0])[::3]}
    (tmp_path / "p.json").write_bytes(as_file(masks, truths[0]))
    opened = open_predictions(tmp_path / "p.json")
    rest, figures = {}, []
    for truth in truths:
        record = score_predictions(opened, truth, config="toy", split="test", hidden=True).record
        figures.append(figures_of(record))
        shown = record.model_dump_json(exclude={"dataset_sha256"})
        assert rest.setdefault(figures[-1], shown) == shown
    assert len({value for row in figures for value in row}) > 8  # the truths do differ
    assert all(value == round(value, 2) for row in figures for *_, value in row)
    bound = sum(math.log2(min(101, cases + 1)) for cases in (1e9, 1e9, 1e9, 4, 104, 1e9, 1e9))
    assert bits_of_totals(108, 4, shown_figures(SEGEARTH_R1)) == pytest.approx(bound)
    assert len(figures[0]) == 7
    assert entropy(figures) <= bound


def test_the_bound_of_the_docs_is_that_of_the_official_test_split():
    bound = bits_of_totals(1928, 71, shown_figures(SEGEARTH_R1))
    assert f"{bound:.1f} bits" in (ROOT / "docs" / "leaderboard.md").read_text()


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
    print(json.dumps({path.name: path.read_text() for path in sorted(target.iterdir())}))
"""
ASK_EVALAI = """
import json
from evaluation_script import evaluate
for number in range(int(sys.argv[3])):
    print(json.dumps(evaluate(sys.argv[1], f"{sys.argv[2]}/{number}.json", "test")))
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
    assert len(answers) == PIXELS
    assert mutual_information(labels, [json.dumps(answer) for answer in answers]) == 0


def test_one_pixel_tells_nothing_on_evalai(tmp_path, references):
    files, labels = probes(references)
    write_evalai(tmp_path / "bundle.zip", phases_of({"test": references}, datetime(2026, 1, 1), 30, 5), "x")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    unpack(bundle / "evaluation_script.zip", bundle / "evaluation_script")
    for number, file in enumerate(files):
        (tmp_path / f"{number}.json").write_bytes(file)
    answers = answers_of(bundle, ASK_EVALAI, bundle / "annotations" / "test.json", tmp_path, PIXELS)
    assert len(answers) == PIXELS
    assert mutual_information(labels, [json.dumps(answer) for answer in answers]) == 0
