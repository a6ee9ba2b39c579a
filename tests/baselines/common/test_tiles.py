"""Tiles of a scene get the scores that the same pictures get, and each is encoded once."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.errors import EarthReasonError
from earthreason.geo.model import TileModel
from earthreason.torch import restore_logits

QUESTIONS = ["where could a boat moor?", "which part burns first, and why would it?", "a?", "what is the tallest?"]
NAMES = ["segearth_r1", "lisa", "pixellm", "psalm"]


def predictor_of(name, head=True, **options):
    model = {"name": name, "size": "mini", "image_size": 128, "freeze_vision": False}
    model["architecture"] = {"no_target_head": head}
    learner = build_learner(TrainConfig.model_validate({"model": model, "data": {"config": "sample"}}), list)
    return learner.predictor_class(learner.model, learner.processor, **options)


def tiles(count=3):
    rng = np.random.default_rng(0)
    shapes = [(60, 90), (150, 100), (128, 128)]
    return [rng.integers(0, 255, (*shapes[n % 3], 3), dtype=np.uint8) for n in range(count)]


def assert_same(predictor, pictures, questions):
    """Compare with each tile as a picture, asked each question alone."""
    predictor.no_target_threshold = 1.0
    scores = list(predictor.score_tiles(pictures, questions))
    assert len(scores) == len(pictures)
    for score, tile in zip(scores, pictures, strict=True):
        assert score.logits.shape == (len(questions), *tile.shape[:2])
        assert score.logits.dtype == score.no_target_scores.dtype == np.float32
        for row, question in enumerate(questions):
            picture = Image.fromarray(tile)
            [(coarse, _)] = predictor.logits([picture], [question])
            logits = restore_logits(coarse, 128, *tile.shape[:2]).numpy()
            assert np.abs(score.logits[row] - logits).max() < 1e-4
            [alone] = predictor.segment([picture], [question])
            assert score.no_target_scores[row] == pytest.approx(alone.no_target_score, abs=1e-5)
            marked = np.zeros(tile.shape[:2], bool) if alone.mask is None else alone.mask
            assert ((score.logits[row] > 0) == marked)[np.abs(logits) > 1e-4].all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch_size", [3, 16])
def test_tiles_get_the_scores_of_the_same_pictures(name, batch_size):
    """Four questions are two batches for one tile, or a quarter of the batch of all tiles."""
    assert_same(predictor_of(name, batch_size=batch_size), tiles(), QUESTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_no_target_head_the_likeliest_pixel_decides(name):
    predictor = predictor_of(name, head=False)
    assert_same(predictor, tiles(2), QUESTIONS[:2])
    (score,) = predictor.score_tiles(tiles(1), QUESTIONS[:1])
    assert score.no_target_scores[0] == pytest.approx(1 - 1 / (1 + np.exp(-score.logits.max())), abs=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "questions", "encoded"), [(2, 4, [1, 1, 1]), (8, 4, [2, 1]), (8, 1, [3]), (1, 2, [1, 1, 1])]
)
def test_each_tile_is_encoded_once_and_few_questions_share_a_batch_with_other_tiles(
    batch_size, questions, encoded, monkeypatch
):
    predictor, seen = predictor_of("segearth_r1", batch_size=batch_size), []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda x: seen.append(len(x)) or encode(x))
    assert len(list(predictor.score_tiles(tiles(), QUESTIONS[:questions]))) == 3
    assert seen == encoded


def test_out_of_memory_halves_the_questions_asked_at_once_and_nothing_is_lost(monkeypatch, caplog):
    predictor = predictor_of("segearth_r1", batch_size=8)
    expected = list(predictor.score_tiles(tiles(), QUESTIONS))
    plainly, asked = predictor.model.forward, []

    def limited(*given, **named):
        asked.append(len(named["input_ids"]))
        if asked[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plainly(*given, **named)

    monkeypatch.setattr(predictor.model, "forward", limited)
    monkeypatch.setattr(logging.getLogger("earthreason"), "propagate", True)
    found = list(predictor.score_tiles(tiles(), QUESTIONS))
    assert predictor.batch_size == 2
    assert "batches of 4" in caplog.text
    assert "batches of 2" in caplog.text
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours.logits - theirs.logits).max() < 1e-4
        assert np.abs(ours.no_target_scores - theirs.no_target_scores).max() < 1e-5


def test_a_tile_too_large_for_memory_is_an_error(monkeypatch):
    predictor = predictor_of("segearth_r1")

    def never(pixels):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(predictor.model, "encode_image", never)
    with pytest.raises(EarthReasonError, match="bfloat16"):
        list(predictor.score_tiles(tiles(1), QUESTIONS[:1]))


@pytest.mark.parametrize("name", ["lisa", "pixellm"])
def test_a_model_that_writes_its_reply_scores_tiles_too(name):
    assert_same(predictor_of(name, batch_size=3, reply="generated"), tiles(2), QUESTIONS)


def test_a_compiled_model_scores_as_the_plain_one():
    predictor = predictor_of("segearth_r1", batch_size=2, compiled=True)
    predictor._ask = torch.compile(predictor._ask_plainly, backend="eager", fullgraph=True)
    found = list(predictor.score_tiles(tiles(1), QUESTIONS[:3]))
    predictor._ask = predictor._ask_plainly
    for ours, theirs in zip(found, predictor.score_tiles(tiles(1), QUESTIONS[:3]), strict=True):
        assert np.abs(ours.logits - theirs.logits).max() < 1e-4


def test_no_tiles_or_no_questions_are_no_scores():
    predictor = predictor_of("segearth_r1")
    assert list(predictor.score_tiles([], QUESTIONS)) == []
    (score,) = predictor.score_tiles(tiles(1), [])
    assert score.logits.shape == (0, 60, 90)
    with pytest.raises(EarthReasonError, match="question is empty"):
        list(predictor.score_tiles(tiles(1), ["where?", " "]))


@pytest.mark.parametrize("name", NAMES)
def test_a_predictor_is_a_tile_model(name):
    model: TileModel = predictor_of(name)
    assert (model.tile_side, model.ground_resolution, model.no_target_threshold) == (128, None, 0.5)
    assert model.name.endswith(name)
