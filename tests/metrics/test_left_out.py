"""Predictions for samples that the data lacks because their files are broken are ignored, and no others."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from earthreason.cli.main import app
from tests.encodings import compressed


@pytest.fixture
def release(tmp_path):
    """Return a test split of 60 samples whose masks are a left half, with a broken label of `007`."""
    half = np.zeros((6, 8), np.uint8)
    half[:, :4] = 255
    for part in ("images", "labels", "QAs"):
        (tmp_path / "release" / "test" / part).mkdir(parents=True)
    for number in range(60):
        place = tmp_path / "release" / "test"
        Image.new("RGB", (8, 6), (number, 90, 60)).save(place / "images" / f"{number:03}.png")
        Image.fromarray(half).save(place / "labels" / f"{number:03}.png")
        questions = {"questions": [f"Where is {number}?"], "answer": ["There."]}
        (place / "QAs" / f"{number:03}.json").write_text(json.dumps(questions))
    (tmp_path / "release" / "test" / "labels" / "007.png").write_bytes(b"not a picture")
    return tmp_path / "release"


def scored(release, names, folder):
    half = np.zeros((6, 8), bool)
    half[:, :4] = True
    file = folder / "preds.json"
    file.write_text(json.dumps([{"sample_id": name, "segmentation": compressed(half)} for name in names]))
    return CliRunner().invoke(app, ["eval", str(file), "--data-dir", str(release), "--json", "-"])


@pytest.mark.parametrize("form", ["{:03}", "test-{:03}"])
def test_predictions_for_the_whole_published_split_are_scored_on_what_is_sound(release, tmp_path, form):
    result = scored(release, [form.format(number) for number in range(60)], tmp_path)
    assert result.exit_code == 0, result.output
    [first, *_] = json.loads(result.stdout)["results"]
    assert first["scores"]["gIoU"] == pytest.approx(1.0, abs=1e-4)
    assert first["images"] == 59


def test_an_id_that_no_file_has_is_still_refused(release, tmp_path):
    result = scored(release, [*(f"{number:03}" for number in range(60)), "060"], tmp_path)
    assert "sample '060': not in default test" in str(result.exception)
