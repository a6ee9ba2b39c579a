"""One file adds a model to every command, and predicting needs nothing of training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.registry import (
    MODELS,
    ModelEntry,
    ModelRegistry,
    PredictorOptions,
    assembled_models,
    build_predictor,
    convertible_models,
    trainable_models,
)
from earthreason import load_dataset
from earthreason.errors import EarthReasonError

ROOT = Path(__file__).resolve().parents[2]
ENTRY = '''
from baselines.registry import ModelEntry, register


class Half:
    """Marks the left half of every image."""

    def __init__(self, options):
        self.options = options

    def predict(self, images, questions):
        import numpy as np

        masks = []
        for image in images:
            mask = np.zeros((image.height, image.width), bool)
            mask[:, : image.width // 2] = True
            masks.append(mask)
        return masks


def learn(config, texts):
    from baselines.segearth_r1.learner import build

    return build(config, texts)


def convert(options):
    from baselines.common.conversion import Report

    options.target.mkdir()
    (options.target / "weights.txt").write_text(f"{options.source} with {options.clip} as {options.dtype}")
    return Report(dropped=["one", "two"])


register(
    ModelEntry(
        name="toy_half",
        summary="marks the left half",
        predictor="baselines.toy_half.entry:Half",
        learner="baselines.toy_half.entry:learn",
        converter="baselines.toy_half.entry:convert",
        own_options=("clip",),
        architecture=frozenset({"no_target_head"}),
    )
)
'''
COMMAND = """
import sys
import baselines

baselines.__path__.append(sys.argv.pop(1))
from baselines.cli import run

run()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "toy_half").mkdir()
    (folder / "toy_half/entry.py").write_text(ENTRY)
    return folder


def run_python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_file_adds_a_model_that_the_help_names_and_that_predicts(package, tmp_path):
    assert "toy_half" in run_python(COMMAND, package, "models")
    out = tmp_path / "out.json"
    arguments = ["--model", "toy_half", "--config", "sample", "--split", "test[:2]", "--out", out]
    run_python(COMMAND, package, "predict", *arguments)
    predictions = json.loads(out.read_text())["predictions"]
    ids = load_dataset("earthreason", "sample", split="test[:2]")["sample_id"]
    assert [prediction["sample_id"] for prediction in predictions] == list(ids)


def test_one_file_adds_a_model_that_converts(package, tmp_path):
    text = run_python(COMMAND, package, "convert", "--help")
    assert "toy_half" in text.split("--clip")[0]
    assert "toy_half" in text.split("--clip")[1].split("--config")[0]
    said = run_python(COMMAND, package, "convert", "toy_half", "there", tmp_path / "new", "--clip", "eye")
    assert "2 unused tensors" in said
    assert (tmp_path / "new/weights.txt").read_text() == "there with eye as float32"


def test_one_file_adds_a_model_that_trains(package, tmp_path):
    assert "toy_half" in run_python(COMMAND, package, "train", "--help")
    (tmp_path / "run.yaml").write_text(
        "model: {size: mini, image_size: 128}\n"
        "data: {config: sample, train: 'train[:4]', validation: 'validation[:4]'}\n"
        "optim: {steps: 1, global_batch: 2, micro_batch: 2}\nworkers: 0\n"
    )
    run_python(COMMAND, package, "train", "toy_half", "--config", tmp_path / "run.yaml", "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run/config.json").read_text())["model"]["name"] == "toy_half"
    assert (tmp_path / "run/final/model.safetensors").is_file()


def test_two_models_of_one_name_are_refused():
    registry = ModelRegistry(sys.modules["baselines"])
    registry.register(ModelEntry("a", "first", "module:first"))
    with pytest.raises(ValueError, match="two models are called 'a'"):
        registry.register(ModelEntry("a", "second", "module:second"))


def test_the_models_of_the_package_are_all_found():
    trivial = {"empty", "everything", "centre", "constant", "saliency"}
    assert set(MODELS) == {"segearth_r1", "lisa", "pixellm", "psalm", "vlm_sam", "exported", *trivial}
    assert next(iter(MODELS)) == "segearth_r1"
    assert set(trainable_models()) == {"segearth_r1", "lisa", "pixellm", "psalm"}
    assert set(convertible_models()) == {"segearth_r1", "lisa", "pixellm", "psalm"}
    assert set(assembled_models()) == set(convertible_models())


@pytest.mark.parametrize("name", trainable_models())
def test_predicting_does_not_import_training(name):
    code = (
        "import sys\n"
        f"import baselines.{name}.predictor\n"
        "from baselines.registry import MODELS\n"
        f"MODELS[{name!r}]\n"
        "print(sorted(module for module in sys.modules if module.startswith('baselines.training')))\n"
    )
    assert run_python(code).strip() == "[]"


def test_listing_the_models_does_not_import_torch():
    code = "import sys\nfrom baselines.registry import MODELS\nlen(MODELS)\nprint('torch' in sys.modules)\n"
    assert run_python(code).strip() == "False"


@pytest.mark.parametrize("name", ["empty", "everything", "centre", "constant", "saliency"])
def test_a_checkpoint_is_refused_for_models_without_weights(name):
    with pytest.raises(EarthReasonError, match=f"^--checkpoint tiny: {name} has no weights; leave it out$"):
        build_predictor(name, PredictorOptions(checkpoint="tiny"))
