"""After `import baselines.auto`, transformers' Auto classes load the checkpoints; each case in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from tests.baselines.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("segearth_r1", "psalm", "lisa", "pixellm")
LOAD = """
import json, sys
import baselines.auto
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor

found = {}
for folder in sys.argv[1:]:
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    prompt = processor.prompt("where could a boat moor?")
    found[folder] = [type(model).__name__, type(processor).__name__, type(config).__name__, model.training,
                     sum(float(p.double().abs().sum()) for p in model.parameters()), len(prompt)]
print(json.dumps(found))
"""


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    learners = {}
    for name in MODELS:
        config = {"model": {"name": name, "size": "mini", "image_size": 128}}
        learner = build_learner(TrainConfig.model_validate(config), lambda: ["where could a boat moor?"] * 3)
        folder = tmp_path_factory.mktemp(name)
        learner.save(learner.model, folder)
        learners[folder] = learner
    return learners


def test_every_model_is_loaded_in_its_class_with_its_weights_and_processor(saved):
    found = run(LOAD, *saved)
    for folder, learner in saved.items():
        model, processor, config, training, total, length = found[str(folder)]
        assert model == type(learner.model).__name__
        assert processor == type(learner.processor).__name__
        assert config == type(learner.model.config).__name__
        assert not training
        own = sum(parameter.double().abs().sum().item() for parameter in learner.model.parameters())
        assert total == pytest.approx(own, rel=1e-12)
        assert length == len(learner.processor.prompt("where could a boat moor?"))


def test_a_checkpoint_of_8_bit_integers_is_loaded_too():
    """Expected: integers times the scale of their row, worked out from the file with numpy alone."""
    folder = ROOT / "baselines" / "checkpoints" / "tiny"
    name = "vision_tower.layers.3.blocks.0.mlp.fc1.weight"
    with safe_open(folder / "model.int8.safetensors", framework="np") as stored:
        expected = stored.get_tensor(name).astype(np.float32) * stored.get_tensor(f"{name}.row_scale")[:, None]
    code = (
        "import json, sys, baselines.auto\n"
        "from transformers import AutoModel\n"
        "model = AutoModel.from_pretrained(sys.argv[1])\n"
        "weight = dict(model.named_parameters())[sys.argv[2]]\n"
        "print(json.dumps([str(weight.dtype), model.training, weight.double().sum().item(), weight[3].tolist()]))\n"
    )
    dtype, training, total, row = run(code, folder, name)
    assert (dtype, training) == ("torch.float32", False)
    assert total == pytest.approx(expected.astype(np.float64).sum(), abs=1e-4)
    assert np.array_equal(np.float32(row), expected[3])


def test_without_the_import_transformers_does_not_know_the_model(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    code = (
        "import json, sys\n"
        "from transformers import AutoModel\n"
        "try:\n    AutoModel.from_pretrained(sys.argv[1])\n"
        "except ValueError as error:\n    print(json.dumps(str(error)[:200]))\n"
    )
    assert "segearth_r1" in run(code, folder)
