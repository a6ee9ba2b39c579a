"""After `import baselines.auto`, transformers' Auto classes load the checkpoints, in a process of their own."""

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
TINY = ROOT / "baselines" / "checkpoints" / "tiny"
WEIGHT = "vision_tower.layers.3.blocks.0.mlp.fc1.weight"
MODELS = ("segearth_r1", "psalm", "lisa", "pixellm")
LOAD = """
import json, sys
import baselines.auto
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor

found = {}
again, tiny, weight = sys.argv[1:4]
for folder in sys.argv[4:]:
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    prompt = processor.prompt("where could a boat moor?")
    found[folder] = [type(model).__name__, type(processor).__name__, type(config).__name__, model.training,
                     sum(float(p.double().abs().sum()) for p in model.parameters()), len(prompt)]
model = AutoModel.from_pretrained(tiny)
values = dict(model.named_parameters())[weight]
found["tiny"] = [str(values.dtype), model.training, values.double().sum().item(), values[3].tolist()]
model.save_pretrained(again)
AutoProcessor.from_pretrained(tiny).save_pretrained(again)
second = AutoModel.from_pretrained(again).state_dict()
first, last = (AutoProcessor.from_pretrained(folder).prompt("where?") for folder in (tiny, again))
found["again"] = [first == last, all(torch.equal(value, second[key]) for key, value in model.state_dict().items())]
print(json.dumps(found))
"""


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def learners(tmp_path_factory):
    made = {}
    for name in MODELS:
        config = {"model": {"name": name, "size": "mini", "image_size": 128}}
        learner = build_learner(TrainConfig.model_validate(config), lambda: ["where could a boat moor?"] * 3)
        folder = tmp_path_factory.mktemp(name)
        learner.save(learner.model, folder)
        made[folder] = learner
    return made


@pytest.fixture(scope="module")
def loaded(learners, tmp_path_factory):
    """What one process loads: every model, `tiny`, and `tiny` saved again."""
    return run(LOAD, tmp_path_factory.mktemp("again") / "tiny", TINY, WEIGHT, *learners)


def test_every_model_is_loaded_in_its_class_with_its_weights_and_processor(learners, loaded):
    for folder, learner in learners.items():
        model, processor, config, training, total, length = loaded[str(folder)]
        assert model == type(learner.model).__name__
        assert processor == type(learner.processor).__name__
        assert config == type(learner.model.config).__name__
        assert not training
        own = sum(parameter.double().abs().sum().item() for parameter in learner.model.parameters())
        assert total == pytest.approx(own, rel=1e-12)
        assert length == len(learner.processor.prompt("where could a boat moor?"))


def test_a_checkpoint_of_8_bit_integers_is_loaded_too(loaded):
    """Expected: integers times the scale of their row, worked out from the file with numpy alone."""
    with safe_open(TINY / "model.int8.safetensors", framework="np") as stored:
        expected = stored.get_tensor(WEIGHT).astype(np.float32) * stored.get_tensor(f"{WEIGHT}.row_scale")[:, None]
    dtype, training, total, row = loaded["tiny"]
    assert (dtype, training) == ("torch.float32", False)
    assert total == pytest.approx(expected.astype(np.float64).sum(), abs=1e-4)
    assert np.array_equal(np.float32(row), expected[3])


def test_a_loaded_checkpoint_is_saved_and_loaded_again_bit_for_bit(loaded):
    assert loaded["again"] == [True, True]


@pytest.mark.parametrize("name", ["shipping/card.md", "shipping/plain_card.md", "checkpoints/tiny/README.md"])
def test_the_example_of_each_card_loads_the_checkpoint(name):
    """Cards are read where the package is installed, so their example has its installed name."""
    code = (ROOT / "baselines" / name).read_text().partition("```python\n")[2].partition("```")[0]
    for folder in ("FOLDER", "{{ name }}"):
        code = code.replace(folder, str(TINY))
    found = run(f"{code}\nimport json\nprint(json.dumps([type(model).__name__, type(processor).__name__]))\n")
    assert found == ["SegEarthR1Model", "SegEarthR1Processor"]


def test_without_the_import_transformers_does_not_know_the_model(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    code = (
        "import json, sys\n"
        "from transformers import AutoModel\n"
        "try:\n    AutoModel.from_pretrained(sys.argv[1])\n"
        "except ValueError as error:\n    print(json.dumps(str(error)[:200]))\n"
    )
    assert "segearth_r1" in run(code, folder)
