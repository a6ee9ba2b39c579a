"""The built-in configurations: what they load, where they keep it, and that `diagnostic` cannot be trained on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.gpu.steps.synth import FULL, TOY
from earthreason.cli.main import app
from earthreason.data import configs
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.truth import load_references
from earthreason.predictions import write_predictions
from earthreason.predictions.predict import predict_samples
from earthreason.predictions.reader import open_predictions
from earthreason.predictors import Centre
from earthreason.types import Prediction

SCENES = 8


@pytest.fixture(scope="module")
def few():
    """The first scenes of `diagnostic` under its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configs.CONFIGS, "diagnostic", configs.DiagnosticConfig(count=SCENES))
        yield load_dataset("earthreason", "diagnostic", split="test")


def test_diagnostic_loads_as_any_set(few):
    assert len(few) == SCENES
    assert few["unseen"] == [load_references("diagnostic", "test")[name].unseen for name in few["sample_id"]]
    for row in few:
        mask = np.asarray(row["mask"])
        assert row["image"].size == mask.shape[::-1] == (row["width"], row["height"])
        assert (not mask.any()) == row["is_empty"]


def test_each_set_has_a_title_of_its_own(few):
    assert few.info.description.startswith("EarthReason diagnostic\n")


def test_diagnostic_is_drawn_once(few, monkeypatch):
    monkeypatch.setattr("earthreason.data.sources.sample.diagnostic_records", None)
    assert len(load_dataset("earthreason", "diagnostic", split="test")) == SCENES


def test_diagnostic_has_nothing_to_train_on(few):
    with pytest.raises(EarthReasonError, match="train"):
        load_dataset("earthreason", "diagnostic", split="train")


def test_another_edition_is_kept_apart(few, monkeypatch):
    folders = set(configs.prepared_root().glob("diagnostic-*"))
    monkeypatch.setattr(configs, "EDITION", configs.EDITION + 1)
    monkeypatch.setattr(
        "earthreason.data.sources.sample.diagnostic_records", lambda *_: ({"test": iter(())}, {"test": 0})
    )
    made = configs.get_config("diagnostic").prepare(None)
    assert made.parent not in folders


@pytest.mark.parametrize("name", ["sample", "diagnostic"])
def test_built_in_sets_take_no_folder(name, tmp_path):
    with pytest.raises(DataNotFoundError, match=f"'{name}' is made by this package and takes no data_dir"):
        load_dataset("earthreason", name, data_dir=tmp_path)


def test_no_other_set_has_the_seed_of_diagnostic():
    others = {configs.SampleConfig().seed, *(scenes.seed for plan in (FULL, TOY) for scenes in plan.values())}
    assert configs.DiagnosticConfig().seed not in others


@pytest.fixture
def predictions(few, tmp_path):
    path = tmp_path / "centre.json"
    samples = [sample_of_row(row) for row in few]
    info = {"model": "centre", "config": "diagnostic", "split": "test"}
    write_predictions(path, predict_samples(Centre(), samples), info)
    return path


def test_eval_prints_the_strata_of_diagnostic_without_being_asked(few, predictions):
    result = CliRunner().invoke(app, ["eval", str(predictions), "--resamples", "0", "--json", "-"])
    strata = json.loads(result.stdout)["strata"]
    assert list(strata) == ["unseen", "reasoning_type"]
    assert sum(group["n"] for group in strata["unseen"]) == SCENES
    printed = CliRunner().invoke(app, ["eval", str(predictions), "--resamples", "0"]).stdout
    assert "by what training lacks, %, protocol segearth-r1" in printed
    assert "by reasoning type, %, protocol segearth-r1" in printed


def test_protocols_visibly_differ_on_one_file_of_predictions(few, tmp_path):
    """Targets moved by one pixel more with every question, and a strip on some empty ones, as a good model errs."""
    predictions = []
    for number, row in enumerate(few):
        mask = np.asarray(row["mask"]) != 0
        strip = np.arange(mask.size).reshape(mask.shape) < mask.size // 50
        for question in range(len(row["questions"])):
            moved = np.roll(mask, (question + 1, question + 1), (0, 1))
            answer = moved if mask.any() else strip & ((number + question) % 3 == 0)
            segmentation = encode_mask(answer) if answer.any() else None
            predictions.append(Prediction(row["sample_id"], segmentation, question))
    write_predictions(tmp_path / "moved.json", predictions)
    opened = open_predictions(tmp_path / "moved.json")
    results = evaluate_protocols(opened, load_references("diagnostic", "test"), list(PROTOCOLS.values()), resamples=0)
    printed = {result.protocol.name: f"{100 * result['gIoU']:.2f}" for result in results}
    # The others have grid, question and rule for empty targets in common with one of these.
    different = ("segearth-r1", "native", "unigeoseg", "think2seg-rs", "geo-r1", "grefcoco", "rrsis-d", "lasers")
    assert len({printed[name] for name in different}) == 8


def test_cumulative_iou_depends_on_the_grid_even_for_an_ellipse_in_the_middle(few, predictions):
    truth = load_references("diagnostic", "test")
    native, canvas = evaluate_protocols(
        open_predictions(predictions), truth, [PROTOCOLS["native"], PROTOCOLS["segearth-r1"]], resamples=0
    )
    intersections, unions = 0, 0
    for row in few:  # by hand, at the images' own sizes
        target = np.asarray(row["mask"]) != 0
        (ellipse,) = Centre().predict([row["image"]], ["?"])
        intersections, unions = intersections + (target & ellipse).sum(), unions + (target | ellipse).sum()
    assert native["cIoU"] == pytest.approx(intersections / unions)
    assert abs(native["cIoU"] - canvas["cIoU"]) > 0.05 * native["cIoU"]
