import sys

import numpy as np
import pytest
from PIL import Image

from baselines.registry import MODELS, PredictorOptions, build_predictor
from baselines.trivial.constant import BestConstant
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic import generate_scene
from earthreason.types import Predictor

SAMPLES = [generate_scene(3, "train", index, (128, 160)) for index in range(4)]
OPTIONS = PredictorOptions(train_samples=lambda: iter(SAMPLES))


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if "trivial" in model.predictor])
def test_every_registered_model_predicts_masks_of_the_image_size(name):
    predictor = build_predictor(name, OPTIONS)
    assert isinstance(predictor, Predictor)
    masks = predictor.predict([sample.image for sample in SAMPLES], ["where?"] * len(SAMPLES))
    assert len(masks) == len(SAMPLES)
    for mask in masks:
        assert mask is None or (mask.shape == (128, 160) and mask.dtype == bool)


def test_empty_and_everything_are_the_two_extremes():
    image = [SAMPLES[0].image]
    assert build_predictor("empty", OPTIONS).predict(image, ["?"]) == [None]
    (everything,) = build_predictor("everything", OPTIONS).predict(image, ["?"])
    assert everything.all()


def test_the_best_constant_beats_the_centre_where_the_targets_are_in_a_corner():
    corner = np.zeros((64, 64), bool)
    corner[:20, :20] = True
    (mask,) = BestConstant.fit([corner] * 3).predict([Image.new("RGB", (64, 64))], ["?"])
    assert (mask & corner).sum() / (mask | corner).sum() > 0.8


def test_saliency_marks_the_odd_one_out():
    pixels = np.full((120, 120, 3), 90, np.uint8)
    pixels[40:80, 40:80] = (220, 40, 40)
    (mask,) = build_predictor("saliency", OPTIONS).predict([Image.fromarray(pixels)], ["?"])
    truth = np.zeros((120, 120), bool)
    truth[40:80, 40:80] = True
    assert (mask & truth).sum() / (mask | truth).sum() > 0.7


def test_an_image_without_contrast_has_no_target():
    assert build_predictor("saliency", OPTIONS).predict([Image.new("RGB", (80, 80))], ["?"]) == [None]


def test_a_users_own_class_is_found(tmp_path, monkeypatch):
    (tmp_path / "mine_for_test.py").write_text(
        "class Mine:\n    def predict(self, images, questions):\n        return [None] * len(images)\n\n"
        "class Wrong:\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build_predictor("mine_for_test:Mine", OPTIONS).predict([1, 2], ["", ""]) == [None, None]
    with pytest.raises(EarthReasonError, match="no predict"):
        build_predictor("mine_for_test:Wrong", OPTIONS)
    with pytest.raises(EarthReasonError, match="MODULE:CLASS"):
        build_predictor("mine_for_test:Absent", OPTIONS)
    sys.modules.pop("mine_for_test")


def test_a_users_own_class_is_found_in_the_current_folder_by_an_installed_program_too(tmp_path, monkeypatch):
    (tmp_path / "here_for_test.py").write_text(
        "class Mine:\n    def predict(self, images, questions):\n        return [None] * len(images)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    assert build_predictor("here_for_test:Mine", OPTIONS).predict([1], [""]) == [None]
    sys.modules.pop("here_for_test")


def test_unknown_models_name_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'centre'"):
        build_predictor("center", OPTIONS)


class Deaf:
    def predict(self, images, questions):
        return [None] * len(images)


class Listening(Deaf):
    def __init__(self, options):
        self.no_target_threshold = options.no_target_threshold


@pytest.mark.parametrize(
    "options", [{"no_target_threshold": 0.3}, {"compiled": True}], ids=["--no-target-threshold", "--compile"]
)
def test_what_only_networks_know_is_refused_for_models_that_would_ignore_it(options):
    asked = PredictorOptions(**options)
    for name in ("empty", "vlm_sam", f"{__name__}:Deaf"):
        with pytest.raises(EarthReasonError, match=f"^--.* is not for {name}; leave it out, or "):
            build_predictor(name, asked)
    own = build_predictor(f"{__name__}:Listening", asked)
    assert own.no_target_threshold == asked.no_target_threshold
