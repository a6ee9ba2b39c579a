"""The presets have the recipe of PSALM's training script."""

from pathlib import Path

import pytest

from baselines.training.config import load_config

CONFIGS = Path(__file__).resolve().parents[3] / "baselines" / "configs" / "psalm"


@pytest.mark.parametrize(("preset", "task"), [("earthreason", "reasoning"), ("rrsis-d", "referring")])
def test_presets_have_the_published_recipe(preset, task):
    config = load_config(CONFIGS / f"{preset}.yaml")
    optim = config.optim
    assert (optim.learning_rate, optim.weight_decay, optim.warmup_share, optim.clip) == (6e-5, 0, 0.03, 0)
    assert (optim.epochs, optim.micro_batch, config.precision) == (10, 4, "fp16")
    assert (optim.points, optim.point_padding, optim.betas) == (12_544, "zeros", (0.9, 0.999))
    assert config.model.freeze_vision
    assert config.model.lora is None
    assert not config.model.freeze_language
    assert config.data.task == task
