"""Models are asked as they were trained, and on the canvas they are scored as the reference scores them."""

import json

import numpy as np
import pytest
from PIL import Image

from baselines.common.run import predict_split
from baselines.registry import ConversionOptions, PredictorOptions, convert_checkpoint, task_named
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason import evaluate, load_dataset
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.rle import decode_rle
from earthreason.metrics.truth import references_of
from earthreason.predictions import read_predictions
from tests.baselines.segearth_r1.test_conversion import phi_model, write_published
from tests.baselines.tiny import save_tiny


def wording(predictor):
    """The prompt of a question, as text without the visual tokens."""
    ids = predictor.processor.prompt("where is it?", predictor.task).input_ids
    return predictor.processor.tokenizer.decode([token for token in ids if token >= 0])


REASONING = ", Please doing Reasoning Segmentation according to the following instruction:\n"
REFERRING = ", Please doing Referring Segmentation according to the following instruction:\n"


@pytest.mark.parametrize("name", ["segearth_r1", "lisa"])
def test_a_model_trained_on_expressions_is_asked_for_them(name, tmp_path):
    config = {"model": {"name": name, "size": "mini"}, "data": {"task": "referring"}}
    learner = build_learner(TrainConfig.model_validate(config), list)
    learner.save(learner.model, tmp_path / "model")
    loaded = type(learner.predictor(learner.model)).from_pretrained(tmp_path / "model")
    assert loaded.task == "referring"
    if name == "segearth_r1":
        assert REFERRING in wording(loaded)


def test_training_from_a_checkpoint_sets_the_task_anew(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    config = {"model": {"checkpoint": str(folder)}, "data": {"task": "referring"}}
    assert build_learner(TrainConfig.model_validate(config), list).model.config.task == "referring"


def test_the_task_of_a_checkpoint_may_be_overridden_and_is_reasoning_in_old_ones(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    path = folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "task"}))
    assert REASONING in wording(SegEarthR1Predictor.from_pretrained(folder))
    given = SegEarthR1Predictor.build(PredictorOptions(checkpoint=str(folder), task="referring"))
    assert REFERRING in wording(given)
    path.write_text(json.dumps({**content, "task": "refering"}))
    with pytest.raises(UnknownNameError, match="refering.*referring"):
        SegEarthR1Predictor.from_pretrained(folder)


def test_predictions_say_how_they_were_asked(tmp_path):
    folder, out = save_tiny(tmp_path / "tiny"), tmp_path / "p.json"
    options = PredictorOptions(str(folder), task="referring")
    predict_split("segearth_r1", options, "sample", "test[:1]", None, "first", out)
    assert read_predictions(out).info["task"] == "referring"


@pytest.mark.parametrize(
    ("source", "task"),
    [
        ("earth-insights/SegEarth-R1-RRSIS-D", "referring"),
        ("models/segearth_r1_rrsisd/", "referring"),
        ("RefSegRS", "referring"),
        ("earth-insights/SegEarth-R1-EarthReason", "reasoning"),
        ("rrsis-d/SegEarth-R1", "reasoning"),
    ],
)
def test_the_published_names_say_the_task(source, task):
    assert task_named(source) == task


@pytest.mark.parametrize(("given", "task"), [(None, "referring"), ("reasoning", "reasoning")])
def test_a_converted_checkpoint_has_its_task(given, task, tmp_path):
    config = write_published(tmp_path / "SegEarth-R1-RRSIS-D", phi_model())
    config.save_pretrained(tmp_path / "shape")
    options = ConversionOptions(
        str(tmp_path / "SegEarth-R1-RRSIS-D"), tmp_path / "new", config=tmp_path / "shape" / "config.json", task=given
    )
    convert_checkpoint("segearth_r1", options)
    assert SegEarthR1Predictor.from_pretrained(tmp_path / "new").task == task


def scene(folder):
    """One image of 100 x 200 px, of which everything is target."""
    for part in ("images", "labels", "QAs"):
        (folder / "test" / part).mkdir(parents=True)
    Image.new("RGB", (200, 100), (90, 120, 60)).save(folder / "test" / "images" / "a.jpg")
    Image.new("L", (200, 100), 255).save(folder / "test" / "labels" / "a.png")
    (folder / "test" / "QAs" / "a.json").write_text(json.dumps({"questions": ["What?"], "answer": ["All."]}))
    return folder


class Everything:
    """Marks each pixel of the 1,024 px canvas, or of the image."""

    def __init__(self, options):
        self.grid = "letterbox-1024"
        self.on_canvas = options.on_canvas

    def predict(self, images, questions):
        return [np.ones((1024, 1024) if self.on_canvas else (i.height, i.width), bool) for i in images]


@pytest.mark.parametrize(("on_canvas", "expected"), [(True, 0.5), (False, 1.0)])
def test_on_the_canvas_false_positives_on_padding_count(on_canvas, expected, tmp_path):
    """100 x 200 px fill 512 of 1,024 rows, so that everything is an IoU of 512 / 1024 on the canvas."""
    folder, out = scene(tmp_path / "set"), tmp_path / "p.json"
    predict_split(
        f"{__name__}:Everything", PredictorOptions(on_canvas=on_canvas), "default", "test", folder, "first", out
    )
    rows = load_dataset("earthreason", split="test", data_dir=str(folder))
    result = evaluate(out, references_of(rows, "test"), resamples=0)
    assert result["gIoU"] == pytest.approx(expected, abs=1e-4)


def test_masks_on_the_canvas_are_the_models_logits_above_0_enlarged(tmp_path):
    model, processor = make_tiny(image_size=128)
    for part in (model, processor):
        part.save_pretrained(tmp_path / "tiny")
    folder, out = scene(tmp_path / "set"), tmp_path / "p.json"
    options = PredictorOptions(str(tmp_path / "tiny"), on_canvas=True, no_target_threshold=1.0)
    predict_split("segearth_r1", options, "default", "test", folder, "first", out)
    made = read_predictions(out)
    assert made.info["grid"] == "letterbox-128"
    with Image.open(folder / "test" / "images" / "a.jpg") as image:
        [(logits, _)] = SegEarthR1Predictor(model, processor).logits([image], ["What?"])
    # Bilinear by hand: 128 places whose centres lie at (i + 0.5) / 4 - 0.5 of 32 pixels, held at the edges.
    at = np.clip((np.arange(128) + 0.5) / 4 - 0.5, 0, 31)
    low, share = np.minimum(at.astype(int), 30), at - np.minimum(at.astype(int), 30)
    weights = np.zeros((128, 32))
    weights[np.arange(128), low], weights[np.arange(128), low + 1] = 1 - share, share
    enlarged = weights @ logits.double().numpy() @ weights.T
    mask = made.predictions[0].segmentation
    found = np.zeros((128, 128), bool) if mask is None else decode_rle(mask)
    assert (found == (enlarged > 0))[np.abs(enlarged) > 1e-5].all()


def test_a_model_without_a_canvas_is_refused(tmp_path):
    for model in ("centre", "tests.baselines.common.test_task:Plain"):
        with pytest.raises(EarthReasonError, match="--on-canvas is not for"):
            predict_split(
                model, PredictorOptions(on_canvas=True), "sample", "test[:1]", None, "first", tmp_path / "p.json"
            )


class Plain:
    """A predictor of a user, without a canvas."""

    def predict(self, images, questions):
        return [None for _ in images]
