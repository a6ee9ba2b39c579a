"""The no-target threshold: chosen by hand, against brute force, and kept in the checkpoint."""

import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.common.predictor import NO_TARGET_THRESHOLD, Segmentation
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training.calibration import NEVER, Recorder, choose_threshold, roc
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from baselines.training.loop import train
from baselines.training.records import read_metric
from baselines.training.validation import ModelValidation
from earthreason.data.load import load_dataset


def choose(scores, empty, has_mask=None, **options):
    has_mask = np.ones(len(scores), bool) if has_mask is None else np.asarray(has_mask, bool)
    return choose_threshold(np.asarray(scores, float), np.asarray(empty, bool), has_mask, **options)


def accuracies(threshold, scores, empty, has_mask):
    """N-acc and T-acc of answering "no target" above the threshold."""
    says_none = (np.asarray(scores) > threshold) | ~np.asarray(has_mask)
    return says_none[empty].mean(), (~says_none[~np.asarray(empty)]).mean()


def test_the_curve_of_four_samples_worked_by_hand():
    scores, empty = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True])
    expected = [
        [0.1, 1.0, 0.0],  # all are "no target"
        [0.3, 1.0, 0.5],
        [0.5, 0.5, 0.5],
        [0.7, 0.5, 1.0],
        [0.9, 0.0, 1.0],  # all masks are kept
    ]
    assert roc(scores, empty, np.ones(4, bool)) == pytest.approx(np.array(expected))


def test_masks_without_a_pixel_are_no_target_at_every_threshold():
    scores, empty = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True])
    curve = roc(scores, empty, np.array([True, False, False, True]))
    assert curve[:, 1].tolist() == [1.0, 1.0, 1.0, 1.0, 0.5]
    assert curve[:, 2].tolist() == [0.0, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("scores", "empty", "floor", "expected"),
    [
        ([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], 0.9, 0.45),  # separable: the middle of the gap
        ([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1], 0.9, 0.7),  # one empty target has to be missed
        ([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1], 0.5, 0.3),  # half of the targets may be lost
        ([0.2, 0.8], [1, 0], 0.9, 0.9),  # the wrong way round: nothing to gain, all masks stay
        ([0.5, 0.5], [1, 0], 0.9, 0.75),  # nothing is known
        ([0.0, 1.0], [0, 1], 0.9, 0.5),  # saturated
        ([1.0, 0.0], [0, 1], 0.9, 1.0),
    ],
)
def test_the_threshold_worked_by_hand(scores, empty, floor, expected):
    assert choose(scores, empty, floor=floor) == pytest.approx(expected)


def test_exactly_the_floor_is_enough():
    scores = [*np.linspace(0.01, 0.1, 9), 0.9, 0.5]  # nine of ten targets below the empty one
    assert choose(scores, [0] * 10 + [1]) == pytest.approx(0.3)


def test_targets_missed_by_the_mask_count_as_missed():
    """Two of ten targets have no mask: 0.9 is out of reach, so no mask is overruled; 0.8 is not."""
    scores, empty = [0.1] * 10 + [0.9], [0] * 10 + [1]
    has_mask = [False] * 2 + [True] * 9
    assert choose(scores, empty, has_mask) == NEVER
    assert choose(scores, empty, has_mask, floor=0.8) == pytest.approx(0.5)


@pytest.mark.parametrize("empty", [[0, 0], [1, 1]])
def test_without_one_of_the_kinds_there_is_nothing_to_choose_on(empty):
    assert choose([0.1, 0.2], empty) is None


@st.composite
def samples(draw):
    """Scores with ties and saturated ones, at least one sample of each kind."""
    score = st.one_of(st.integers(0, 8).map(lambda n: n / 8), st.floats(0, 1))
    parts = draw(st.lists(st.tuples(score, st.booleans(), st.booleans()), max_size=25))
    parts += [(draw(score), kind, draw(st.booleans())) for kind in (False, True)]
    scores, empty, has_mask = zip(*parts, strict=True)
    return np.array(scores), np.array(empty), np.array(has_mask)


@given(samples(), st.sampled_from([0.0, 0.5, 0.75, 0.9, 1.0]))
def test_no_threshold_is_better(found, floor):
    scores, empty, has_mask = found
    chosen = choose_threshold(scores, empty, has_mask, floor)
    assert 0 <= chosen <= 1
    # Between scores, on them, and at both ends: every division of the samples that a threshold can make.
    values = np.unique(scores)
    between = values[:-1] + np.diff(values) / 2
    tried = [accuracies(threshold, *found) for threshold in [0, *values, *between, 1]]
    allowed = [pair for pair in tried if pair[1] >= floor]
    if not allowed:
        assert chosen == NEVER
        return
    assert accuracies(chosen, *found) == pytest.approx(max(allowed))


@given(samples())
def test_rounding_flips_no_answer(found):
    """A threshold that is not at an end of the scale keeps away from every score."""
    scores, empty, has_mask = found
    scores = np.round(scores, 3)
    chosen = choose_threshold(scores, empty, has_mask)
    if 0 < chosen < 1:
        assert np.abs(scores - chosen).min() > 1e-4


def test_every_row_of_the_curve_is_what_its_threshold_gives():
    rng = np.random.default_rng(0)
    scores, empty, has_mask = rng.random(200), rng.random(200) < 0.3, rng.random(200) < 0.9
    curve = roc(scores, empty, has_mask)
    assert (np.diff(curve[:, 0]) > 0).all()
    for threshold, *pair in curve:
        assert accuracies(threshold, scores, empty, has_mask) == pytest.approx(pair)


class Told:
    """Answers with given scores and a mask in the corner, and knows what the real predictor does."""

    def __init__(self, config, scores):
        self.model = type("Model", (), {"config": config})()
        self.scores, self.no_target_threshold = iter(scores), 0.5

    def segment(self, images, questions):
        found = []
        for image in images:
            mask, score = np.zeros((image.height, image.width), bool), next(self.scores)
            mask[0, 0] = True
            found.append(Segmentation(mask if score <= self.no_target_threshold else None, score))
        return found

    def predict(self, images, questions):
        return [segmentation.mask for segmentation in self.segment(images, questions)]


def config_of(validation="train[:3]", **changes):
    """The third sample of the training split is an empty target, the first two are not."""
    return TrainConfig.model_validate(
        {
            "log_every": 1,
            "save_every": 0,
            "model": {
                "size": "mini",
                "image_size": 128,
                "freeze_vision": False,
                "architecture": {"no_target_head": True},
                **changes.pop("model", {}),
            },
            "data": {"config": "sample", "train": "train[:8]", "validation": validation},
            "optim": {
                "learning_rate": 2e-3,
                "global_batch": 4,
                "micro_batch": 4,
                "steps": 2,
                **changes.pop("optim", {}),
            },
            **changes,
        }
    )


def head(is_there=True):
    return type("Config", (), {"no_target_head": is_there})()


def test_a_look_scores_with_the_threshold_it_chooses():
    validation = ModelValidation(config_of())
    predictor = Told(head(), [0.6, 0.7, 0.9])  # at 0.5 both targets would be missed
    found = validation.look(predictor)
    assert found.threshold == predictor.no_target_threshold == pytest.approx(0.8)
    assert (found.scores["N-acc"], found.scores["T-acc"]) == (1.0, 1.0)
    assert validation.facts == {"samples": 3, "empties": 1}


@pytest.mark.parametrize(("config", "validation"), [(head(False), "train[:3]"), (head(), "train[:2]")])
def test_without_a_head_or_an_empty_target_the_threshold_stays(config, validation):
    predictor = Told(config, [0.6, 0.4, 0.9])
    predictor.no_target_threshold = 0.45
    found = ModelValidation(config_of(validation)).look(predictor)
    assert found.threshold is None
    assert predictor.no_target_threshold == 0.45
    assert found.scores["T-acc"] == 0.5


def test_the_recorder_keeps_masks_that_the_threshold_would_drop():
    rows = load_dataset("earthreason", "sample", split="train[:2]")
    recorder = Recorder(Told(head(), [0.99, 0.3]))
    masks = recorder.predict(rows["image"], ["?", "?"])
    assert [mask.sum() for mask in masks] == [1, 1]
    assert recorder.scores == [0.99, 0.3]


def threshold_in(folder):
    return json.loads((folder / "config.json").read_text())["no_target_threshold"]


def test_the_final_model_is_calibrated_also_without_validation_on_the_way(tmp_path):
    train(config_of(), tmp_path / "run")
    card = json.loads((tmp_path / "run" / "run.json").read_text())["calibration"]
    assert (card["samples"], card["empties"]) == (3, 1)
    assert card["no_target_threshold"] == threshold_in(tmp_path / "run" / "final") != NO_TARGET_THRESHOLD
    predictor = SegEarthR1Predictor.from_pretrained(tmp_path / "run" / "final")
    assert predictor.no_target_threshold == card["no_target_threshold"]
    again = ModelValidation(config_of()).look(predictor)
    assert again.threshold == pytest.approx(card["no_target_threshold"], abs=1e-6)


@pytest.mark.parametrize("changes", [{"model": {"lora": {"rank": 2}}}, {"optim": {"ema": 0.5}}, {}])
def test_best_and_final_hold_the_threshold_that_was_logged(changes, tmp_path):
    train(config_of(validate_every=2, **changes), tmp_path / "run")
    logged = read_metric(tmp_path / "run" / "metrics.csv", "validation_no_target_threshold")
    assert logged[2] != NO_TARGET_THRESHOLD
    for name in ("best", "final"):
        assert threshold_in(tmp_path / "run" / name) == pytest.approx(logged[2], rel=1e-6)


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ("train[:2]", "no empty target in validation"),
        ("train[2:3]", "no target in validation"),
        ("nowhere", "no validation split"),
    ],
)
def test_where_nothing_can_be_calibrated_on_the_threshold_stays_and_a_line_says_so(
    validation, words, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("earthreason"), "propagate", True)
    config = config_of(validation, optim={"steps": 1})
    with caplog.at_level(logging.WARNING, "earthreason.training"):
        train(config, tmp_path / "run")
    assert words in caplog.text
    assert "threshold stays 0.5" in caplog.text
    assert threshold_in(tmp_path / "run" / "final") == NO_TARGET_THRESHOLD


def test_a_model_without_a_head_does_no_validation_work(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("the validation split was read")

    monkeypatch.setattr("baselines.training.loop.ModelValidation", never)
    train(config_of("nowhere", model={"architecture": {}}, optim={"steps": 1}), tmp_path / "run")
    assert "calibration" not in json.loads((tmp_path / "run" / "run.json").read_text())
    assert threshold_in(tmp_path / "run" / "final") == NO_TARGET_THRESHOLD


@pytest.mark.parametrize("name", ["lisa", "pixellm", "psalm"])
def test_every_model_with_a_head_keeps_the_threshold_in_its_configuration(name, tmp_path):
    learner = build_learner(config_of(model={"name": name}), list)
    assert learner.model.config.no_target_threshold == NO_TARGET_THRESHOLD
    learner.model.config.no_target_threshold = 0.3
    learner.model.config.save_pretrained(tmp_path)
    assert type(learner.model.config).from_pretrained(tmp_path).no_target_threshold == 0.3
