"""Training that starts from a checkpoint: what can be changed is, the rest is refused, nothing is ignored."""

import pytest
import torch

from baselines.registry import trainable_models
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.errors import EarthReasonError


def learner_of(name="segearth_r1", **model):
    return build_learner(TrainConfig.model_validate({"model": {"name": name, "size": "mini", **model}}), list)


def save(folder, name="segearth_r1", **model):
    learner = learner_of(name, **model)
    learner.save(learner.model, folder)
    return str(folder)


@pytest.mark.parametrize("name", trainable_models())
def test_a_no_target_head_is_added_and_all_else_stays(name, tmp_path):
    checkpoint = save(tmp_path, name)
    before = learner_of(name, checkpoint=checkpoint).model.state_dict()
    model = learner_of(name, checkpoint=checkpoint, architecture={"no_target_head": True}).model
    after = model.state_dict()
    assert model.config.no_target_head
    added = {"presence.weight", "presence.bias"}
    assert after.keys() - before.keys() == added
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    again = learner_of(name, checkpoint=checkpoint, architecture={"no_target_head": True}).model.state_dict()
    assert all(torch.equal(again[key], after[key]) for key in added)


def test_stochastic_depth_is_set(tmp_path):
    checkpoint = save(tmp_path)
    model = learner_of(checkpoint=checkpoint, architecture={"drop_path_rate": 0.5}).model
    assert model.vision_tower.layers[-1].blocks[-1].drop == model.config.drop_path_rate == 0.5


@pytest.mark.parametrize("name", ["segearth_r1", "psalm", "pixellm"])
def test_training_goes_on_with_images_of_another_size(name, tmp_path):
    checkpoint = save(tmp_path, name, image_size=128)
    learner = learner_of(name, checkpoint=checkpoint, image_size=256)
    assert learner.image_size == learner.model.config.image_size == learner.processor.image_size == 256
    pixels = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    assert torch.isfinite(learner.model.encode_image(pixels).visual_tokens).all()
    learner.save(learner.model, tmp_path / "larger")
    assert learner_of(name, checkpoint=str(tmp_path / "larger")).image_size == 256


def test_the_norms_of_the_connector_are_resized_bilinearly(tmp_path):
    small = learner_of(image_size=128, architecture={"connector_strides": [1, 1]})
    ramp = torch.tensor([0.0, 4.0, 8.0, 12.0]).expand_as(small.model.connector.norm1.weight)  # (64, 4, 4)
    small.model.connector.norm1.weight.data.copy_(ramp)
    small.save(small.model, tmp_path)
    large = learner_of(checkpoint=str(tmp_path), image_size=256).model
    row = torch.tensor([0.0, 1, 3, 5, 7, 9, 11, 12])  # by hand: each new centre is a quarter from the nearest old one
    assert torch.equal(large.connector.norm1.weight, row.expand(64, 8, 8))
    same = {name: tensor for name, tensor in small.model.state_dict().items() if "connector.norm" not in name}
    assert all(torch.equal(tensor, large.state_dict()[name]) for name, tensor in same.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": {"query": "seg"}}, "model.architecture.query=seg: .* was made with description"),
        ({"architecture": {"connector_strides": [2, 1]}}, "connector_strides=.*was made with .2, 2."),
        ({"architecture": {"d_projector": False}}, "d_projector=False: .*leave the option out"),
        ({"architecture": {"no_target_head": False}}, "no_target_head=False: .* was made with True"),
    ],
)
def test_what_cannot_be_changed_any_more_is_refused(changes, words, tmp_path):
    checkpoint = save(tmp_path, image_size=128, architecture={"no_target_head": True})
    with pytest.raises(EarthReasonError, match=words):
        learner_of(checkpoint=checkpoint, **changes)


def test_lisa_keeps_the_image_size_of_its_checkpoint(tmp_path):
    checkpoint = save(tmp_path, "lisa", image_size=128)
    with pytest.raises(EarthReasonError, match="model.image_size=256: .* was made with 128"):
        learner_of("lisa", checkpoint=checkpoint, image_size=256)
    assert learner_of("lisa", checkpoint=checkpoint).image_size == 128


def test_options_that_agree_and_defaults_change_nothing(tmp_path):
    checkpoint = save(tmp_path, image_size=128, architecture={"no_target_head": True, "drop_path_rate": 0.0})
    for image_size in (128, None):
        learner = learner_of(
            checkpoint=checkpoint,
            image_size=image_size,
            size="tiny",
            tokenizer="learned",
            architecture={"no_target_head": True, "drop_path_rate": 0.0, "connector_strides": [2, 2]},
        )
        assert learner.image_size == 128
        assert learner.model.presence is not None
