"""A checkpoint states at which ground resolutions it learned, however it was made and saved."""

import json

import pytest
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common.quantised import save_quantised
from baselines.common.resolution import canvas_resolution, describe_range, known_range, parse_range, range_of
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.errors import EarthReasonError
from tests.baselines.segearth_r1.test_conversion import phi_model, write_published
from tests.baselines.tiny import save_tiny

NAMES = ["segearth_r1", "lisa", "pixellm", "psalm"]


def test_the_longer_side_of_an_image_fills_the_canvas():
    """800 pixels of 0.5 m are 400 m, shown by 200 pixels of 2 m."""
    assert canvas_resolution(0.5, 600, 800, 200) == 2.0
    assert canvas_resolution(0.5, 800, 600, 1600) == 0.25


def test_the_range_leaves_out_a_twentieth_at_each_end_and_images_that_state_nothing():
    """Of 101 images of 1 to 101 m per pixel, five are finer than 6 m and five coarser than 96 m."""
    stated = [float(number) for number in range(1, 102)]
    assert range_of([*stated, None, None], [256] * 103, [256] * 103, 256) == (6.0, 96.0)
    assert range_of(stated, [512] * 101, [100] * 101, 256) == (12.0, 192.0)
    assert range_of([None], [256], [256], 256) is None
    assert range_of([0.123456], [256], [256], 256) == (0.123, 0.123)


@pytest.mark.parametrize(("text", "value"), [("0.3,1.2", (0.3, 1.2)), ("1, 1", (1.0, 1.0))])
def test_a_range_is_two_numbers_finest_first(text, value):
    assert parse_range(text) == value
    assert known_range(list(value)) == value
    assert known_range(None) is None


@pytest.mark.parametrize("text", ["", "0.3", "fine,coarse", "1.2,0.3", "0,1", "-1,1", "nan,1", "1,inf", "1,2,3"])
def test_what_is_no_range_is_refused_in_one_line(text):
    with pytest.raises(EarthReasonError, match=r"--gsd .*metres per pixel") as caught:
        parse_range(text)
    assert "\n" not in str(caught.value)


def test_a_range_reads_well():
    assert describe_range((0.5, 8.0)) == "0.5 to 8 m per pixel"
    assert describe_range((0.3, 0.3)) == "0.3 m per pixel"


@pytest.mark.parametrize("name", NAMES)
def test_every_model_saves_and_loads_its_range(name, tmp_path):
    config = {"model": {"name": name, "size": "mini"}, "data": {"config": "sample"}}
    learner = build_learner(TrainConfig.model_validate(config), list)
    assert learner.predictor(learner.model).ground_resolution is None
    learner.model.config.ground_resolution = (0.5, 8.0)
    learner.save(learner.model, tmp_path / "plain")
    save_quantised(learner.model, tmp_path / "int8")
    learner.processor.save_pretrained(tmp_path / "int8")
    for kind in ("plain", "int8"):
        assert json.loads((tmp_path / kind / "config.json").read_text())["ground_resolution"] == [0.5, 8.0]
        assert learner.predictor_class.from_pretrained(tmp_path / kind).ground_resolution == (0.5, 8.0)


def test_a_checkpoint_of_before_states_none_and_a_broken_range_names_its_file(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    content = json.loads((folder / "config.json").read_text())
    content.pop("ground_resolution")
    (folder / "config.json").write_text(json.dumps(content))
    assert SegEarthR1Predictor.from_pretrained(folder).ground_resolution is None
    (folder / "config.json").write_text(json.dumps({**content, "ground_resolution": [8, 0.5]}))
    with pytest.raises(EarthReasonError, match=r"tiny/config\.json: ground_resolution 8,0\.5: not a range"):
        SegEarthR1Predictor.from_pretrained(folder)


@pytest.mark.parametrize(("options", "stated"), [([], None), (["--gsd", "0.3,1.2"], (0.3, 1.2))])
def test_a_converted_checkpoint_has_the_range_that_is_given(options, stated, tmp_path):
    config = write_published(tmp_path / "published", phi_model())
    config.save_pretrained(tmp_path / "shape")
    words = ["convert", "segearth_r1", tmp_path / "published", tmp_path / "new", "--config"]
    done = CliRunner().invoke(app, [*map(str, words), str(tmp_path / "shape" / "config.json"), *options])
    assert done.exit_code == 0, done.output
    assert SegEarthR1Predictor.from_pretrained(tmp_path / "new").ground_resolution == stated


def test_a_range_that_is_none_is_refused_before_anything_is_converted(tmp_path):
    words = ["convert", "segearth_r1", str(tmp_path / "published"), str(tmp_path / "new"), "--gsd", "3,1"]
    assert isinstance(CliRunner().invoke(app, words).exception, EarthReasonError)
    assert not (tmp_path / "new").exists()
