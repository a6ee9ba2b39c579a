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


def test_pixellm_takes_images_of_another_size(tmp_path):
    checkpoint = save(tmp_path, "pixellm")
    learner = learner_of("pixellm", checkpoint=checkpoint, image_size=128)
    assert learner.image_size == learner.model.config.image_size == 128


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": {"query": "seg"}}, "model.architecture.query=seg: .* was made with description"),
        ({"architecture": {"connector_strides": [2, 1]}}, "connector_strides=.*was made with .2, 2."),
        ({"architecture": {"d_projector": False}}, "d_projector=False: .*leave the option out"),
        ({"architecture": {"no_target_head": False}}, "no_target_head=False: .* was made with True"),
        ({"image_size": 512}, "model.image_size=512: .* was made with 128"),
    ],
)
def test_what_cannot_be_changed_any_more_is_refused(changes, words, tmp_path):
    checkpoint = save(tmp_path, image_size=128, architecture={"no_target_head": True})
    with pytest.raises(EarthReasonError, match=words):
        learner_of(checkpoint=checkpoint, **changes)


def test_options_that_agree_and_defaults_change_nothing(tmp_path):
    checkpoint = save(tmp_path, image_size=128, architecture={"no_target_head": True, "drop_path_rate": 0.0})
    for image_size in (128, 256):  # 256 is the default
        learner = learner_of(
            checkpoint=checkpoint,
            image_size=image_size,
            size="tiny",
            tokenizer="learned",
            architecture={"no_target_head": True, "drop_path_rate": 0.0, "connector_strides": [2, 2]},
        )
        assert learner.image_size == 128
        assert learner.model.presence is not None
