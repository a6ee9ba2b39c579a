"""Rates by depth, adapters that merge away, and the running average."""

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch

from baselines.registry import trainable_models
from baselines.segearth_r1.tiny import make_tiny
from baselines.training.config import LoraConfig, OptimConfig, TrainConfig
from baselines.training.learner import build_learner
from baselines.training.optimizer import (
    add_adapters,
    average_of,
    make_optimizer,
    parameter_groups,
    vision_distances,
    without_adapters,
)
from earthreason.errors import EarthReasonError


@pytest.fixture
def model():
    return make_tiny(1)[0]


def test_without_decay_by_layer_all_parameters_have_one_rate(model):
    (group,) = parameter_groups(model, OptimConfig(learning_rate=2e-3))
    assert group["lr"] == 2e-3
    assert len(group["params"]) == sum(1 for _ in model.parameters())


def test_the_rate_of_the_image_encoder_falls_towards_the_pixels(model):
    config = OptimConfig(learning_rate=1.0, layer_decay=0.5)
    rate_of = {id(p): group["lr"] for group in parameter_groups(model, config) for p in group["params"]}
    rates = {name: rate_of[id(p)] for name, p in model.named_parameters()}
    assert rates["vision_tower.norm3.weight"] == 1.0
    assert rates["mask_decoder.level_embed"] == 1.0
    first, second = (rates[f"vision_tower.layers.2.blocks.{n}.mlp.fc1.weight"] for n in (0, 1))
    assert first == second / 2
    assert (
        rates["vision_tower.layers.0.downsample.reduction.weight"] > rates["vision_tower.layers.0.blocks.0.norm1.bias"]
    )
    deepest = max(vision_distances(model).values())
    assert rates["vision_tower.patch_embed.proj.weight"] == 0.5**deepest
    blocks = sum(model.config.vision_depths)
    assert deepest == blocks + 3 + 1  # blocks, three downsamplings, then the norms; 0 is the patch embedding


@pytest.mark.parametrize("name", trainable_models())
def test_the_rate_falls_with_every_block_of_every_models_encoders(name):
    config = TrainConfig.model_validate({"model": {"name": name, "size": "mini", "freeze_vision": False}})
    model = build_learner(config, list).model
    distances, encoders = vision_distances(model), encoders_of(model.vision_tower)
    rates = {}
    for group in parameter_groups(model, OptimConfig(learning_rate=1.0, layer_decay=0.5)):
        rates |= {id(p): group["lr"] for p in group["params"]}
    assert set(distances) == {key for key, _ in model.named_parameters() if key.startswith("vision_tower.")}
    for first, blocks in encoders:
        assert rates[id(next(blocks[-1].parameters()))] == 0.5
        found = [rates[id(next(block.parameters()))] for block in (first, *blocks)]
        assert all(below < above for below, above in pairwise(found))


def encoders_of(tower):
    """The patch embedding and the blocks of every encoder."""
    if hasattr(tower, "clip"):
        return [*encoders_of(tower.clip), (tower.sam.patch_embed, list(tower.sam.layers))]
    if hasattr(tower, "encoder"):
        return [(tower.embeddings, list(tower.encoder.layers))]
    return [(tower.patch_embed, [block for stage in tower.layers for block in stage.blocks])]


def test_frozen_parameters_are_left_out(model):
    model.vision_tower.requires_grad_(False)
    (group,) = parameter_groups(model, OptimConfig())
    assert len(group["params"]) == sum(p.requires_grad for p in model.parameters())


def batch_of(model, seed=0):
    """A question whose last token is `[SEG]`."""
    generator = torch.Generator().manual_seed(seed)
    side, ids = model.config.image_size, torch.randint(0, 250, (1, 12), generator=generator)
    ids[0, :4], ids[0, -1] = -200, model.config.seg_token_id
    return {
        "pixel_values": torch.randint(0, 256, (1, 3, side, side), generator=generator).byte(),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "question_mask": torch.arange(12)[None] > 5,
        "masks": torch.rand(1, side, side, generator=generator) > 0.5,
    }


def test_adapters_train_alone_and_merge_into_the_same_function(model):
    seg = model.config.seg_token_id
    add_adapters(model, LoraConfig(rank=2), [seg])
    trained = {name for name, p in model.language_model.named_parameters() if p.requires_grad}
    assert any("lora_" in name for name in trained)
    assert all("lora_" in name or "trainable_tokens_delta" in name for name in trained)
    optimizer, _ = make_optimizer(model, OptimConfig(learning_rate=1e-2), lambda step: 1.0)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    for _ in range(3):
        model(**batch_of(model)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    merged = without_adapters(model)
    before = make_tiny(1)[0]
    assert merged.state_dict().keys() == before.state_dict().keys()
    changed = (merged.get_input_embeddings().weight != before.get_input_embeddings().weight).any(1)
    assert changed.nonzero().flatten().tolist() == [seg]
    with torch.no_grad():
        expected, found = (m.eval()(**batch_of(m, 1)).mask_logits for m in (model, merged))
        untouched = before(**batch_of(before, 1)).mask_logits
    assert torch.allclose(expected, found, atol=1e-4)
    assert not torch.allclose(expected, untouched, atol=1e-2)


def test_layers_that_do_not_exist_are_named_with_those_that_do(model):
    with pytest.raises(EarthReasonError, match=r"no nothing; its linear layers: .*q_proj"):
        add_adapters(model, LoraConfig(targets=("nothing",)))


def test_the_average_follows_its_formula():
    model = torch.nn.Linear(1, 1, bias=False)
    average = average_of(model, 0.9)
    values, expected = [1.0, 2.0, -3.0], math.nan
    for value in values:
        with torch.no_grad():
            model.weight.fill_(value)
        expected = value if math.isnan(expected) else 0.9 * expected + 0.1 * value
        average.update_parameters(model)
    assert average.module.weight.item() == pytest.approx(expected)
    assert Counter(p.requires_grad for p in average.parameters()) == {False: 1}
