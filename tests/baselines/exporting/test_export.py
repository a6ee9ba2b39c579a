"""Exported models answer as their checkpoints; what differs or cannot be exported leaves no folder."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from baselines.checkpoints import FOLDER
from baselines.common.modeling import PromptedModel
from baselines.exporting import writing
from baselines.exporting.checking import Comparison
from baselines.exporting.runtime import ExportedPredictor, read_facts
from baselines.exporting.writing import export_checkpoint
from baselines.registry import PredictorOptions, build_predictor
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, UnknownNameError

pytest.importorskip("onnxruntime")
ROOT = Path(__file__).resolve().parents[3]
NARROW = {"vision_depths": (1, 1, 1, 1), "pixel_decoder_layers": 1, "mask_decoder_layers": 1, "d_projector": False}
"""Few layers: the time of an export to ONNX grows with the nodes of the graph."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A random model whose threshold lets every question have a target."""
    folder = tmp_path_factory.mktemp("checkpoint") / "narrow"
    made = make_tiny(image_size=128, no_target_head=True, no_target_threshold=1.0, **NARROW)
    for part in made:
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["onnx", "torch-export"])
def exported(request, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "out"
    return folder, export_checkpoint(str(checkpoint), folder, request.param)


@pytest.fixture(scope="module")
def samples():
    return [sample_of_row(row) for row in load_dataset("earthreason", "sample", split="test[:12]")]


def test_masks_are_those_of_the_checkpoint_to_the_pixel(exported, checkpoint, samples):
    images, questions = [s.image for s in samples], [s.questions[0] for s in samples]
    images.append(images[0].crop((0, 0, 100, 37)))
    questions.append("a much longer question about everything that can be seen in this picture, which one is it?")
    expected = SegEarthR1Predictor.from_pretrained(checkpoint, batch_size=5).predict(images, questions)
    found = ExportedPredictor(exported[0], batch_size=4).predict(images, questions)
    assert sum(mask is not None for mask in expected) == len(images)
    for ours, theirs in zip(expected, found, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_registry_builds_an_exported_model(exported):
    predictor = build_predictor("exported", PredictorOptions(checkpoint=str(exported[0])))
    assert (predictor.task, predictor.no_target_threshold) == ("reasoning", 1.0)


def test_the_folder_states_what_it_holds(exported):
    folder, made = exported
    facts = read_facts(folder)
    assert (facts["model"], facts["canvas_side"], facts["dtype"]) == ("segearth_r1", 128, "float32")
    assert facts["inputs"]["pixels"]["shape"] == ["batch", 3, 128, 128]
    assert set(facts["outputs"]) == {"mask_logits", "presence_logits"}
    assert facts["check"]["logit"] == made.comparison.logit <= 1e-3
    assert facts["versions"]["torch"] == torch.__version__
    names = {path.name for path in folder.iterdir()}
    assert names == {"export.json", "README.md", *facts["files"], *(["ask.py"] if facts["format"] == "onnx" else [])}
    card = ModelCard((folder / "README.md").read_text())
    assert (card.data.library_name, card.data.pipeline_tag) == ("earthreason", "image-segmentation")
    assert made.bytes == (folder / facts["file"]).stat().st_size


def test_onnx_itself_finds_the_graph_sound_and_its_sizes_free(exported):
    folder, _ = exported
    if read_facts(folder)["format"] != "onnx":
        pytest.skip("for ONNX")
    import onnx

    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    inputs = onnx.load(folder / "model.onnx", load_external_data=False).graph.input
    sizes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in inputs}
    assert sizes["pixels"] == ["batch", 3, 128, 128]
    assert sizes["input_ids"] == ["batch", "length"]


def test_the_example_of_the_readme_runs_and_without_pytorch_where_it_says_so(exported, samples, tmp_path):
    folder, _ = exported
    plain = read_facts(folder)["format"] == "onnx"
    code = (folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    code = code.replace('"."', repr(str(folder))).replace("picture.png", str(tmp_path / "picture.png"))
    samples[0].image.save(tmp_path / "picture.png")
    block = "import sys\nsys.modules['torch'] = sys.modules['transformers'] = sys.modules['earthreason'] = None\n"
    path = f"import sys\nsys.path.insert(0, {str(folder if plain else ROOT)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", path + (block if plain else "") + code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    question = "Where could a ship tie up?"
    [(mask, score)] = ExportedPredictor(folder).ask([samples[0].image], [question])
    assert f"target: {mask.mean():.1%} of the picture" in done.stdout
    assert f"no-target score {score:.3f}" in done.stdout
    if plain:
        assert np.array_equal(np.array(Image.open(tmp_path / "mask.png")) > 0, mask)


def test_broken_folders_are_refused_in_one_line(exported, tmp_path):
    folder, _ = exported
    facts = json.loads((folder / "export.json").read_text())
    with pytest.raises(DataNotFoundError, match=r"has no export\.json; give a folder made by"):
        ExportedPredictor(tmp_path)
    for name in facts["files"]:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "export.json").write_text('{"format": "onnx"}')
    with pytest.raises(DataFormatError, match="is not what `earthreason-baselines export` writes"):
        ExportedPredictor(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps(facts))
    content = (tmp_path / facts["file"]).read_bytes()
    (tmp_path / facts["file"]).write_bytes(content[:-1])
    with pytest.raises(DataFormatError, match=f"has {len(content) - 1:,} bytes instead of {len(content):,}"):
        ExportedPredictor(tmp_path)
    (tmp_path / facts["file"]).write_bytes(bytes(len(content)))
    with pytest.raises(DataFormatError, match="the exported model cannot be loaded") as caught:
        ExportedPredictor(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "cuda"}, "--device cuda: exported models run on the CPU"),
        ({"dtype": "float16"}, "--dtype float16: the dtype is chosen by `export --dtype`"),
        ({"checkpoint": None}, "exported needs --checkpoint"),
        ({"task": "referring"}, "--task is not for exported"),
    ],
)
def test_options_that_an_exported_model_cannot_follow_are_refused(change, words):
    options = replace(PredictorOptions(checkpoint="x"), **change)
    with pytest.raises(EarthReasonError, match=words):
        build_predictor("exported", options)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("onnx", "bfloat16"), EarthReasonError, "onnxruntime does not compute in bfloat16"),
        (("torch-export", "float32", 20), EarthReasonError, "--opset is for --format onnx"),
        (("onnx", "float32", 99), EarthReasonError, "--opset 99: the installed onnx knows opsets up to"),
        (("tflite",), UnknownNameError, "unknown format 'tflite'"),
        (("onnx", "int4"), UnknownNameError, "unknown dtype 'int4'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_first(checkpoint, tmp_path, arguments, kind, words):
    with pytest.raises(kind, match=words):
        export_checkpoint(str(checkpoint), tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_another_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EarthReasonError, match=r"contains a bert model; segearth_r1, .* can be exported"):
        export_checkpoint(str(tmp_path), tmp_path / "out", "torch-export")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logit": 0.5}, r"a logit by 0\.5, allowed are 0\.02"),
        ({"logit": float("nan")}, "a logit by nan"),
        ({"differing": 101}, r"101 of 1,000,000 mask pixels, allowed are 0\.01%"),
    ],
)
def test_a_difference_above_the_tolerance_leaves_no_folder(checkpoint, tmp_path, monkeypatch, changes, words):
    found = Comparison(5, 0.0, 20.0, 0, 1_000_000, 1.0, 1.0)
    monkeypatch.setattr(writing, "compare_models", lambda *_: replace(found, **changes))
    monkeypatch.setattr(writing, "trace_network", lambda *_: None)
    monkeypatch.setattr(writing, "TracedModel", lambda *_: None)
    monkeypatch.setattr(torch.export, "save", lambda _, path: path.write_bytes(b"graph"))
    with pytest.raises(EarthReasonError, match=words):
        export_checkpoint(str(checkpoint), tmp_path / "out", "torch-export")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "torch-export"])
@pytest.mark.parametrize("name", ["psalm", "lisa", "pixellm"])
def test_the_other_models_are_exported_too(name, kind, tmp_path):
    config = {"model": {"name": name, "size": "mini", "image_size": 128}}
    learner = build_learner(TrainConfig.model_validate(config), lambda: ["where could a boat moor?"] * 3)
    if isinstance(learner.model, PromptedModel) and learner.model.mask_offset is not None:
        torch.nn.init.zeros_(learner.model.mask_offset)  # random masks instead of none
    learner.save(learner.model, tmp_path / "model")
    made = export_checkpoint(str(tmp_path / "model"), tmp_path / "out", kind)
    assert made.comparison.logit < 1e-4
    assert made.comparison.differing <= 1e-5 * made.comparison.pixels


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "tiny").is_dir(), reason="tiny is not here")
def test_tiny_in_half_precision_differs_within_its_tolerance(tmp_path):
    made = export_checkpoint("tiny", tmp_path / "out", "onnx", "float16")
    assert made.bytes < 25_000_000
    assert 0 < made.comparison.logit < 0.1
