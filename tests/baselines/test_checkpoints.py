"""Shipped checkpoints: found by name, checked against hashes, copied, and accepted wherever a checkpoint is."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from baselines import checkpoints, cli_options
from baselines.checkpoints import (
    FOLDER,
    fetch_checkpoint,
    find_shipped,
    locate_checkpoint,
    register_checkpoint,
    shipped_checkpoints,
)
from baselines.cli import app
from baselines.registry import MODELS, PredictorOptions, build_predictor, build_shipped
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from baselines.shipping.checkpoint import MAX_BYTES
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.types import Predictor
from tests.baselines.shelf import make_shelf

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    return make_shelf(tmp_path / "shelf", monkeypatch)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_index_holds_the_sha256_of_every_file_but_the_card(tiny):
    index = json.loads((tiny.parent / "index.json").read_text())
    expected = digests(tiny)
    del expected["README.md"]
    assert index == {"tiny": {"model": "segearth_r1", "summary": "random weights", "sha256": expected}}


def test_registering_again_replaces_the_entry_and_keeps_the_others(tiny):
    (tiny.parent / "other").mkdir()
    (tiny.parent / "other" / "config.json").write_text("{}")
    register_checkpoint(tiny.parent / "other", "lisa", "first")
    register_checkpoint(tiny.parent / "other", "lisa", "second")
    assert {name: each.summary for name, each in shipped_checkpoints().items()} == {
        "other": "second",
        "tiny": "random weights",
    }


@pytest.mark.parametrize(
    "load",
    [
        SegEarthR1Predictor.from_pretrained,
        lambda name: build_predictor("segearth_r1", PredictorOptions(checkpoint=name)),
        build_shipped,
        lambda name: build_learner(TrainConfig.model_validate({"model": {"checkpoint": name}}), list),
    ],
)
def test_a_bare_name_loads_the_shipped_weights(tiny, load):
    loaded, made = load("tiny").model.state_dict(), make_tiny()[0].state_dict()
    assert loaded.keys() == made.keys()
    assert all(torch.equal(loaded[name], made[name]) for name in made)


def test_a_folder_of_the_same_name_comes_first_except_for_the_demo(tiny, tmp_path, monkeypatch):
    (tmp_path / "here" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert locate_checkpoint("tiny") == "tiny"
    with pytest.raises(DataNotFoundError, match=r"tiny has no config\.json"):
        SegEarthR1Predictor.from_pretrained("tiny")
    assert isinstance(build_shipped("tiny"), Predictor)


def test_hub_ids_and_paths_stay_as_they_are(tiny, tmp_path):
    assert locate_checkpoint("owner/tiny") == "owner/tiny"
    assert locate_checkpoint(tmp_path / "tiny") == tmp_path / "tiny"


@pytest.mark.parametrize("use", [find_shipped, locate_checkpoint, SegEarthR1Predictor.from_pretrained])
def test_an_unknown_name_suggests_the_nearest_in_one_line(tiny, use):
    with pytest.raises(UnknownNameError, match="did you mean 'tiny'") as caught:
        use("tinny")
    assert "\n" not in str(caught.value)


def test_a_model_without_a_checkpoint_is_told_the_shipped_ones(tiny):
    with pytest.raises(EarthReasonError, match="or a shipped one: tiny$"):
        build_predictor("segearth_r1", PredictorOptions())


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("break_it", "error", "words"),
    [
        (flip_a_bit, DataFormatError, "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), DataFormatError, "is damaged"),
        (lambda path: path.unlink(), DataNotFoundError, "is missing"),
    ],
)
def test_a_damaged_or_missing_file_is_one_line(tiny, tmp_path, break_it, error, words):
    break_it(tiny / "model.safetensors")
    for use in (SegEarthR1Predictor.from_pretrained, lambda name: fetch_checkpoint(name, tmp_path / "copy")):
        with pytest.raises(error, match=f"model.safetensors.* {words}") as caught:
            use("tiny")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"tiny": {"model": 1}}', '{"tiny": null}'])
def test_a_broken_index_is_named(tiny, text):
    (tiny.parent / "index.json").write_text(text)
    with pytest.raises(DataFormatError, match="index.json: not an index"):
        find_shipped("tiny")


def test_a_checkout_without_an_index_ships_nothing(tiny):
    (tiny.parent / "index.json").unlink()
    with pytest.raises(UnknownNameError, match="none yet"):
        find_shipped("tiny")


def invoke(*words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(word) for word in words])


def test_fetch_copies_every_file_and_says_what_it_is(tiny, tmp_path):
    done = invoke("fetch", "tiny", "--out", tmp_path / "copy")
    assert done.exit_code == 0, done.output
    assert digests(tmp_path / "copy") == digests(tiny)
    assert "tiny: random weights" in done.output
    assert f"--model segearth_r1 --checkpoint {tmp_path / 'copy'}" in done.output


def test_fetch_leaves_a_folder_with_content_alone(tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert isinstance(invoke("fetch", "tiny", "--out", tmp_path / "mine").exception, EarthReasonError)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_segment_takes_the_name_and_models_lists_it(tiny, tmp_path):
    PICTURE.save(tmp_path / "p.png")
    done = invoke("segment", tmp_path / "p.png", "where?", "--checkpoint", "tiny", "--out", tmp_path / "o.png")
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "o.png").size == (80, 60)
    assert "--checkpoint tiny: random weights" in invoke("models").output


@pytest.mark.parametrize("name", shipped_checkpoints(FOLDER))
def test_a_checkpoint_of_the_package_is_whole_small_and_answers(name):
    shipped = find_shipped(name)
    assert shipped.model in MODELS
    assert sum(path.stat().st_size for path in shipped.folder.iterdir()) <= MAX_BYTES
    card = (shipped.folder / "README.md").read_text()
    assert all(sha256 in card for sha256 in shipped.sha256.values())
    [mask] = build_shipped(name).predict([PICTURE], ["Where could a ship tie up?"])
    assert mask is None or mask.shape == (60, 80)


def test_a_broken_index_leaves_the_help_readable(tiny):
    (tiny.parent / "index.json").write_text("{")
    assert cli_options.shipped_names() == "their index is broken"
    assert isinstance(invoke("models").exception, DataFormatError)


@pytest.mark.parametrize(
    "entry",
    [
        {"sha256": None},
        {"sha256": ["config.json"]},
        {"sha256": {"config.json": 5}},
        {"sha256": {}},  # would make every file count as checked
        {"sha256": {"../../secret": "00"}},
        {"model": ["lisa"]},
    ],
)
def test_an_unsound_entry_is_named_in_one_line(tiny, entry):
    index = tiny.parent / "index.json"
    sound = json.loads(index.read_text())["tiny"]
    index.write_text(json.dumps({"tiny": sound | entry}))
    with pytest.raises(DataFormatError, match=r"index\.json: the entry 'tiny' needs"):
        checkpoints.find_shipped("tiny")


@pytest.mark.parametrize("name", ["../tiny", "a/b", "..", ""])
def test_an_entry_with_a_path_as_its_name_is_refused(tiny, name):
    index = tiny.parent / "index.json"
    index.write_text(json.dumps({name: json.loads(index.read_text())["tiny"]}))
    with pytest.raises(DataFormatError, match="needs a plain folder name"):
        checkpoints.shipped_checkpoints()
