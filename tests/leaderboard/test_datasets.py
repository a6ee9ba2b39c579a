"""Boards of other datasets: each ranks by the rules of its authors, whose figures are the expected ones."""

import json
import math
import re

import numpy as np
import pytest
from sqlalchemy import text

from earthreason.board_client import blank_references, check_predictions
from earthreason.errors import PredictionsError, UnknownNameError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import open_predictions
from leaderboard.database import Database
from leaderboard.hidden import bits_of_split, hide_labels
from leaderboard.scoring import score_predictions
from leaderboard.splits import SplitContent, bits_of, content_of, get_split, put_split
from tests.leaderboard.published_sets import DRSEG, GEOSEG_BENCH, LASERS, PUBLISHED, RRSIS_D, encode
from tests.leaderboard.published_sets import run as run
from tests.leaderboard.toys import sign_in

FLOAT32 = 1e-7
"""Some evaluators divide and add in single precision."""
SETS = pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one.config)


def add(database, published, folder, *, hidden, **given):
    """Add the test split of a set as `split add --config CONFIG --data-dir FOLDER` does."""
    if not folder.exists():
        published.make(folder)
    content = content_of(published.config, "test", folder, hidden=hidden)
    with database.write() as session:
        return put_split(session, published.config, "test", content, hidden=hidden, **given)[1]


def shown(hand, path, **headers):
    hand.client.app.state.board.board.changed()  # a page may be a quarter of a second old
    answer = hand.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


# --- on a server -----------------------------------------------------------------------------------------------------


@SETS
def test_an_open_split_shows_the_figures_of_the_authors_evaluator(hand, database, tmp_path, published):
    add(database, published, tmp_path / "set", hidden=False)
    split = f"{published.config}/test"
    row = hand.published(published.predictions(), split=split)
    told = shown(hand, f"/api/board?split={split}").json()
    assert told["protocol"] == published.protocol
    record = hand.get(row).json()["result"]
    assert record["main_protocol"] == published.protocol
    scores = record["protocols"][published.protocol]["scores"]["all"]
    for name, value in published.expected.items():
        assert scores[name][0] == pytest.approx(value, abs=FLOAT32), name
        if name in ("gIoU", "cIoU", "Pr@0.5", "T-acc"):
            assert told["rows"][0]["scores"][name][0] == scores[name][0]
    giou = f"{100 * published.expected['gIoU']:.2f}"
    assert giou in shown(hand, f"/?split={split}").text
    assert f"{published.config}/test: gIoU {giou}" in shown(hand, f"/models/{row}/badge.svg").text
    assert giou in shown(hand, "/mine", cookie=sign_in(hand)).text
    page = shown(hand, f"/models/{row}").text
    assert giou in page
    assert len(re.findall("<img src", page)) >= 2  # the gallery


@SETS
def test_a_hidden_split_shows_these_figures_in_whole_per_cent_and_no_others(hand, database, tmp_path, published):
    add(database, published, tmp_path / "set", hidden=True)
    row = hand.published(published.predictions(), split=f"{published.config}/test")
    scores = hand.get(row).json()["result"]["protocols"]
    main = {
        name: published.expected[name] for name in ("gIoU", "cIoU", "Pr@0.5", "T-acc") if name in published.expected
    }
    assert {name: cell[0] for name, cell in scores[published.protocol]["scores"]["all"].items()} == pytest.approx(
        {name: round(value, 2) for name, value in main.items()}
    )
    assert scores.keys() == {published.protocol, "native"}
    assert scores["native"]["scores"]["all"].keys() == {"gIoU", "cIoU"}
    assert scores[published.protocol]["scores"].keys() == {"all"}


@pytest.mark.parametrize(
    ("published", "levels"),
    [
        (RRSIS_D, [101, 101, 101, 1, 40, 101, 101]),  # 39 questions, none without a target
        (LASERS, [101, 101, 1, 6, 101, 101]),  # five masks, no Pr@0.5
        (DRSEG, [101, 101, 1, 3, 101, 101]),
        (GEOSEG_BENCH, [101, 101, 101, 1, 5, 101, 101]),
    ],
    ids=lambda one: getattr(one, "config", ""),
)
def test_the_bound_counts_the_figures_of_the_main_protocol(hand, database, tmp_path, published, levels):
    add(database, published, tmp_path / "set", hidden=True)
    bits = sum(map(math.log2, levels))
    with database.read() as session:
        assert bits_of(get_split(session, f"{published.config}/test")) == pytest.approx(bits)


def test_groups_of_several_targets_count_questions(hand, database, tmp_path):
    add(database, LASERS, tmp_path / "set", hidden=False)
    row = hand.published(LASERS.predictions(), split="lasers/test")
    record = hand.get(row).json()["result"]
    sizes = {subset["key"]: subset["questions"] for subset in record["subsets"]}
    assert sizes == {"all": 3, "reasoning_type: test_multi_target": 2, "reasoning_type: test_reasoning": 1}
    # Of four masks the two that are in the wrong order score 0; see `published_sets`.
    group = record["protocols"]["lasers"]["scores"]["reasoning_type: test_multi_target"]["gIoU"][0]
    assert group == pytest.approx((400 / 484 + 1600 / 1764) / 4)
    assert record["protocols"]["native"]["scores"].keys() == {"all"}  # it scores other cases than the groups count


def test_models_of_several_targets_are_compared_by_mask(hand, database, tmp_path):
    add(database, LASERS, tmp_path / "set", hidden=False)
    worse = hand.published(LASERS.predictions(), split="lasers/test")
    answers = dict(LASERS.answers)
    answers["lasers_test_test_multi_target_7"] = answers["lasers_test_test_multi_target_7"][::-1]
    records = [{"sample_id": name, "segmentation": mask} for name, mask in answers.items()]
    better = hand.published(json.dumps({"predictions": records}).encode(), split="lasers/test")
    page = shown(hand, f"/compare?ids={worse}&ids={better}").text
    # The two masks score 400 / 484 and 800 / 924 in their own order.
    assert f"{100 * (400 / 484 + 800 / 924) / 5:+.2f}" in page
    assert "1 better, 2 equal, 0 worse" in page


def test_a_change_of_the_split_goes_to_its_main_protocol(hand, database, tmp_path):
    """The address leaves the main protocol out, so that a form that changes the split does not keep the former one."""
    add(database, LASERS, tmp_path / "set", hidden=False)
    page = shown(hand, "/?split=lasers/test").text
    assert '<option value="" selected>LaSeRS (SegEarth-R2)</option>' in page
    assert '<option value="segearth-r1">' in page
    assert shown(hand, "/api/board?split=lasers/test&protocol=").json()["protocol"] == "lasers"
    assert shown(hand, "/api/board?split=toy/test&protocol=").json()["protocol"] == "segearth-r1"
    assert shown(hand, "/api/board?split=lasers/test&protocol=native").json()["protocol"] == "native"
    assert hand.client.get("/api/board?split=lasers/test&protocol=mine").status_code == 404


def test_another_main_protocol_scores_every_file_again_and_is_told_in_the_history(hand, database, tmp_path):
    add(database, RRSIS_D, tmp_path / "set", hidden=False, main_protocol="segearth-r1")
    row = hand.published(RRSIS_D.predictions(), split="rrsis-d/test")
    assert shown(hand, "/api/board?split=rrsis-d/test").json()["protocol"] == "segearth-r1"
    assert add(database, RRSIS_D, tmp_path / "set", hidden=False) == 0  # a split keeps its protocol
    assert add(database, RRSIS_D, tmp_path / "set", hidden=False, main_protocol="rrsis-d") == 1
    assert shown(hand, "/api/board?split=rrsis-d/test").json()["total"] == 0
    assert hand.score() == 1
    told = shown(hand, "/api/board?split=rrsis-d/test").json()
    assert told["protocol"] == "rrsis-d"
    assert told["rows"][0]["scores"]["gIoU"][0] == pytest.approx(RRSIS_D.expected["gIoU"])
    history = shown(hand, f"/api/submissions/{row}/history").json()
    assert ["segearth-r1", "rrsis-d"] in [entry["details"].get("main_protocol") for entry in history]


def test_a_file_on_a_grid_of_another_protocol_fails_with_a_line(hand, database, tmp_path):
    """It is what `earthreason-eval --protocol rrsis-d` would refuse, too."""
    add(database, RRSIS_D, tmp_path / "set", hidden=True)
    canvas = encode(np.ones((1024, 1024)))
    records = [{"sample_id": name, "segmentation": canvas} for name in RRSIS_D.answers]
    row = hand.submit(
        json.dumps({"info": {"grid": "letterbox-1024"}, "predictions": records}).encode(), split="rrsis-d/test"
    )
    hand.score()
    told = hand.get(row).json()
    assert told["state"] == "failed"
    assert told["error"].splitlines() == [
        "predictions: its masks are on the letterbox-1024 grid, but protocol rrsis-d compares on stretch-480; predict "
        "at the images' own size to use every protocol"
    ]


def test_a_file_on_the_grid_of_the_main_protocol_is_scored_and_others_say_why_not(hand, database, tmp_path):
    add(database, RRSIS_D, tmp_path / "set", hidden=False)
    records = [{"sample_id": name, "segmentation": encode(np.ones((480, 480)))} for name in RRSIS_D.answers]
    content = json.dumps({"info": {"grid": "stretch-480"}, "predictions": records}).encode()
    result = hand.get(hand.published(content, split="rrsis-d/test")).json()["result"]
    assert result["protocols"].keys() == {"rrsis-d"}
    assert "stretch-480 grid" in result["not_scored"]["segearth-r1"]


# --- what a submitter checks -----------------------------------------------------------------------------------------


def test_the_check_before_uploading_asks_for_what_the_main_protocol_scores(tmp_path):
    samples = [{"sample_id": "a", "height": 4, "width": 4, "question_count": 2}]
    (tmp_path / "first.json").write_text('[{"sample_id": "a", "segmentation": null}]')
    first = open_predictions(tmp_path / "first.json")
    blank = blank_references(samples, "split")
    assert check_predictions(first, blank, "segearth-r1") == 1
    with pytest.raises(PredictionsError, match="1 unanswered, of 1 sample each asked every question"):
        check_predictions(first, blank, "geo-r1")
    with pytest.raises(UnknownNameError, match="unknown protocol 'of-tomorrow'"):
        check_predictions(first, blank, "of-tomorrow")


def test_the_check_takes_several_masks_for_a_question(tmp_path):
    (tmp_path / "p.json").write_bytes(LASERS.predictions())
    samples = [{"sample_id": name, "height": 512, "width": 512, "question_count": 1} for name in LASERS.answers]
    assert check_predictions(open_predictions(tmp_path / "p.json"), blank_references(samples, "split"), "lasers") == 3


# --- hidden labels ---------------------------------------------------------------------------------------------------


def test_the_label_of_an_ignored_pixel_is_not_in_the_answer(tmp_path):
    """LISA's rules leave ignored pixels out, so a file of one marked pixel would tell by T-acc which ones they are."""
    target, ignored = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    target[4:] = True
    ignored[0, 0] = True
    probe = np.zeros((8, 8), bool)
    probe[0, 0] = True
    told = []
    for region in (ignored, np.roll(ignored, 3)):
        truth = References(
            [Reference(f"s{n}", encode_mask(target), ignore=encode_mask(region)) for n in range(12)], "truth"
        )
        records = [{"sample_id": name, "segmentation": encode_mask(probe)} for name in truth]
        (tmp_path / "p.json").write_text(json.dumps({"predictions": records}))
        opened = open_predictions(tmp_path / "p.json")
        scoring = score_predictions(opened, truth, config="reasonseg", split="test", hidden=True)
        told.append(scoring.final.model_dump(mode="json", exclude={"dataset_sha256"}))
        assert scoring.record.main_protocol == "lisa"
        assert scoring.record.protocols["lisa"].scores["all"].keys() == {"gIoU", "cIoU"}
        assert bits_of_split(truth, scoring.results["lisa"].protocol) == pytest.approx(2 * math.log2(101))
    assert told[0] == told[1]


def test_the_groups_of_a_final_submission_are_those_of_the_main_protocol(tmp_path):
    """RMSIN's rules give a right "no target" 0, the official ones 1."""
    target, empty = np.ones((24, 24), bool), np.zeros((24, 24), bool)
    half = target.copy()
    half[:, 12:] = False
    truth = References(
        [
            Reference(f"s{n}", encode_mask(target if n < 110 else empty), category="full" if n < 110 else "empty")
            for n in range(210)
        ],
        "truth",
    )
    answers = [half if n < 110 else empty for n in range(210)]
    records = [{"sample_id": f"s{n}", "segmentation": encode_mask(answer)} for n, answer in enumerate(answers)]
    (tmp_path / "p.json").write_text(json.dumps({"predictions": records}))
    opened = open_predictions(tmp_path / "p.json")
    scoring = score_predictions(opened, truth, config="rrsis-d", split="test", hidden=True)
    scores = scoring.final.protocols["rrsis-d"].scores
    groups = {name: scores[f"category: {name}"]["gIoU"].value for name in ("full", "empty")}
    assert groups == {"full": 0.5, "empty": 0.0}
    assert scoring.final.protocols["native"].scores.keys() == {"all"}
    assert scoring.record.protocols["rrsis-d"].scores.keys() == {"all"}


def test_intervals_of_several_questions_about_an_image_are_those_of_as_many_images_as_there_must_be(tmp_path):
    """Three questions about each of 40 images, ten of them empty: N-acc rests on ten images, and not on 30 questions.

    Only the numbers of questions and images are shown, by which the 30 may be about as few as one image.
    """
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    truth = References(
        [Reference(f"s{n}", encode_mask(empty if n < 10 else full), question_count=3) for n in range(40)], "truth"
    )
    records = [
        {"sample_id": name, "question_index": index, "segmentation": truth[name].segmentation}
        for name in truth
        for index in range(3)
    ]
    (tmp_path / "p.json").write_text(json.dumps({"predictions": records}))
    opened = open_predictions(tmp_path / "p.json")
    record = score_predictions(opened, truth, config="toy", split="test", hidden=True, main="grefcoco").record
    scores = record.protocols["grefcoco"].scores["all"]
    assert (record.questions, record.images, record.empty_targets) == (120, 40, 30)
    assert scores["N-acc"].interval is None
    # 40 images less 30 empty questions leave 10 with a target. 1.00 may be 0.995 before rounding, and the interval of
    # that by Wilson begins at (0.995 + 0.19207 - 1.96 * 0.1005) / 1.38415 = 0.7153.
    assert scores["T-acc"].low == 0.71
    assert hide_labels(record) == record


# --- commands and tables ---------------------------------------------------------------------------------------------


def test_an_unknown_protocol_is_refused_before_the_data_is_read(run, database, database_url, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", database_url)
    done = run("split", "add", "--config", "lasers", "--data-dir", tmp_path / "nowhere", "--protocol", "laser")
    assert isinstance(done.exception, UnknownNameError)
    assert "did you mean 'lasers'?" in str(done.exception)
    LASERS.make(tmp_path / "set")
    done = run("split", "add", "--config", "lasers", "--data-dir", tmp_path / "set")
    assert "lasers/test: 3 questions, 0 images without a target, labels hidden, ranked by lasers\n" in done.stdout
    listed = run("split", "list").stdout
    assert (
        f"ranked by lasers, labels hidden (a submission tells at most {4 * math.log2(101) + math.log2(6):.1f}" in listed
    )


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_a_split_of_an_older_board_keeps_the_protocol_that_ranked_it(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/old.sqlite3"
    if kind == "postgresql":
        url = request.getfixturevalue("cluster").create("before_main_protocols")
    database = Database(url)
    database.migrate("0005")
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO splits (config, name, hidden, closed, truth_sha256, questions, empty_targets, created,"
                " truth, samples) VALUES ('rrsis-d', 'test', :no, :no, 'x', 1, 0, 1.0, :bytes, :bytes)"
            ),
            {"no": False, "bytes": b"{}"},
        )
    database.migrate()
    with database.read() as session:
        assert get_split(session, "rrsis-d/test").main_protocol == "segearth-r1"
    database.engine.dispose()


def test_a_split_of_no_known_config_has_the_official_protocol(database, references):
    with database.write() as session:
        split, _ = put_split(session, "my-own", "test", SplitContent(references, None), hidden=False)
        assert split.main_protocol == "segearth-r1"
