"""What is equal for all models of a comparison: their batches, and how their losses and parameters are counted."""

import pytest
import torch

from baselines.compare.measure import count_parameters
from baselines.psalm.losses import PsalmLossConfig, match_losses
from baselines.registry import trainable_models
from baselines.training.config import TrainConfig
from baselines.training.data import StepDataset, order_of
from baselines.training.learner import build_learner
from earthreason import load_dataset
from earthreason.errors import EarthReasonError

MASK_LOSSES = {"segearth_r1": (5, 5), "psalm": (5, 5), "lisa": (2, 0.5), "pixellm": (2, 0.5)}
"""Weights of BCE and Dice in the public code of each model."""


@pytest.fixture(scope="module")
def rows():
    return load_dataset("earthreason", "sample", split="train")


def config_of(name, **optim):
    return TrainConfig.model_validate(
        {
            "seed": 3,
            "model": {
                "name": name,
                "size": "mini",
                "image_size": 128,
                "freeze_vision": False,
                "architecture": {"no_target_head": True},
            },
            "data": {"config": "sample", "question": "random", "augment": "dihedral", "word_dropout": 0.4},
            "optim": {"global_batch": 8, "micro_batch": 4, "points": 64, **optim},
        }
    )


def batches_of(config, rows, steps=1):
    learner = build_learner(config, list)
    data = StepDataset(rows, learner, config, order_of(rows, config))
    return learner, [batch for step in range(steps) for _, batch in data[step]]


def losses_of(name, rows, **weights):
    learner, (batch, *_) = batches_of(config_of(name, loss_weights=weights), rows)
    torch.manual_seed(0)
    return {key: value.item() for key, value in learner.model.eval()(**batch).losses.items()}


def test_all_models_get_the_same_pictures_masks_and_questions_byte_by_byte(rows):
    seen = {}
    for name in trainable_models():
        learner, batches = batches_of(config_of(name), rows, steps=2)
        data = StepDataset(rows, learner, config_of(name), order_of(rows, config_of(name)))
        questions = [data._item(int(row), step)["question"] for step in range(2) for row in data.order.rows(step)]
        arrays = [array for batch in batches for array in (batch["pixel_values"][:, :3], batch["masks"])]
        pixels = b"".join(array.numpy().tobytes() for array in arrays)  # without the mark of padding
        seen[name] = (questions, pixels)
    first, *others = seen.values()
    assert len(first[1]) > 100_000
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", trainable_models())
def test_weights_of_losses_are_those_of_the_public_code_unless_others_are_set(name, rows):
    bce, dice = MASK_LOSSES[name]
    base = losses_of(name, rows)
    assert losses_of(name, rows, bce=bce, dice=dice, presence=1) == base
    own = {"score": 2} if name == "psalm" else {"language": 1}
    for key, weight in (own | {"presence": 1}).items():
        found = losses_of(name, rows, **{key: 3 * weight})
        assert found == pytest.approx(base | {key: 3 * base[key]}, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in trainable_models() if name != "psalm"])
def test_weights_of_mask_losses_multiply_them(name, rows):
    bce, dice = MASK_LOSSES[name]
    base, found = losses_of(name, rows), losses_of(name, rows, bce=2 * bce, dice=3 * dice)
    assert found == pytest.approx(base | {"mask": 2 * base["mask"], "dice": 3 * base["dice"]}, rel=1e-5)


def test_weights_of_psalms_losses_multiply_those_of_the_matched_query():
    logits = torch.stack([torch.full((8, 8), 0.5), torch.full((8, 8), -20.0)])[None]  # the first of two is matched
    base, found = (
        match_losses(
            [logits], [torch.zeros(1, 2)], torch.ones(1, 8, 8), PsalmLossConfig(points=16, padding="border", **w)
        )
        for w in ({"bce": 1, "dice": 1, "score": 1}, {"bce": 2, "dice": 3, "score": 4})
    )
    assert {key: (found[key] / base[key]).item() for key in found} == pytest.approx({"score": 4, "mask": 2, "dice": 3})


@pytest.mark.parametrize(("name", "key"), [("lisa", "score"), ("psalm", "language")])
def test_the_weight_of_a_loss_that_a_model_lacks_is_refused(name, key):
    with pytest.raises(EarthReasonError, match=f"optim.loss_weights.{key}: {name} has no such loss here .it has: bce"):
        build_learner(config_of(name, loss_weights={key: 1.0}), list)


def test_parameters_that_no_gradient_reaches_do_not_count(rows, tmp_path):
    counted = {}
    for name in trainable_models():
        learner = build_learner(config_of(name), list)
        learner.save(learner.model, tmp_path / name)
        counted[name] = (learner.model, count_parameters(config_of(name), tmp_path / name, rows))

    def size(model, *parts):
        return sum(p.numel() for part in parts for p in model.get_submodule(part).parameters())

    # LISA reads the last but one layer of CLIP, and the first of SAM's four masks; it needs no IoU. PixelLM reads
    # the last but one layer too.
    lisa, found = counted["lisa"]
    clip, heads = "vision_tower.clip", "mask_decoder.output_hypernetworks_mlps"
    idle = size(lisa, f"{clip}.encoder.layers.1", f"{clip}.post_layernorm", "positions")
    idle += size(lisa, "mask_decoder.iou_prediction_head", *(f"{heads}.{k}" for k in (1, 2, 3)))
    assert found["all_parameters"] - found["parameters"] == idle
    pixellm, found = counted["pixellm"]
    idle = size(pixellm, "vision_tower.encoder.layers.3", "vision_tower.post_layernorm")
    assert found["all_parameters"] - found["parameters"] == idle
    for name in ("segearth_r1", "psalm"):
        model, found = counted[name]
        assert found["all_parameters"] == sum(p.numel() for p in model.parameters())
        assert found["parameters"] > 0.999 * found["all_parameters"]
