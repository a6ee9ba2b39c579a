"""A run becomes a small folder: weights rounded to bfloat16, records, card; nothing is left after a refusal."""

import hashlib
import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from baselines import checkpoints
from baselines.cli import app
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from baselines.shipping.checkpoint import ship_checkpoint
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from tests.baselines.shipping.test_card import RUN, write, write_scores
from tests.baselines.tiny import save_tiny
from tests.conftest import write_sample


@pytest.fixture
def run(tmp_path):
    """A finished run on two scenes that `earthreason synth` could have made."""
    for index in range(2):
        write_sample(tmp_path / "scenes" / "train", f"synthetic_s1_train_{index:06d}")
    save_tiny(tmp_path / "run" / "final")
    data = {**RUN["config"]["data"], "data_dir": str(tmp_path / "scenes")}
    write(tmp_path / "run" / "run.json", {**RUN, "config": {**RUN["config"], "data": data}})
    return tmp_path / "run"


def stored_bits(path):
    """Read the tensors of a safetensors file as it is specified: a length, a JSON header, bytes."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    return {
        name: np.frombuffer(content[8 + length :][slice(*entry["data_offsets"])], np.uint16).reshape(entry["shape"])
        for name, entry in header.items()
    }


def round_to_bfloat16(values):
    """Keep the upper half of the bits, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def test_weights_are_rounded_to_bfloat16_and_load_again(run, tmp_path):
    size = ship_checkpoint(run, tmp_path / "out")
    bits = stored_bits(tmp_path / "out" / "model.safetensors")
    made = {name: tensor.detach().numpy() for name, tensor in make_tiny()[0].named_parameters()}
    assert made.keys() <= bits.keys()
    assert all(np.array_equal(bits[name], round_to_bfloat16(values)) for name, values in made.items())
    assert size == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    SegEarthR1Predictor.from_pretrained(tmp_path / "out")


def test_int8_takes_about_half_the_bytes_and_loads_again(run, tmp_path):
    half = ship_checkpoint(run, tmp_path / "half")
    quarter = ship_checkpoint(run, tmp_path / "quarter", dtype="int8")
    assert quarter < 0.65 * half  # the tokenizer and the small tensors stay as they are
    assert "in int8." in (tmp_path / "quarter" / "README.md").read_text()
    SegEarthR1Predictor.from_pretrained(tmp_path / "quarter")


def test_the_folder_holds_settings_record_and_a_card_with_the_hashes(run, tmp_path):
    ship_checkpoint(run / "final", tmp_path / "out", data_command="synth")
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "run.json", "training.yaml", "README.md"} <= set(
        files
    )
    settings = yaml.safe_load(files["training.yaml"].read_text())
    assert settings["seed"] == 3
    assert settings["data"]["data_dir"] == "scenes"  # the run's is a path on its machine, tmp_path / "scenes"
    card = files.pop("README.md").read_text()
    for name, path in files.items():
        assert f"| `{name}` | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in card
    assert "EarthReason synthetic scenes. " in card
    assert "Licence: Apache-2.0." in card


def test_each_stage_of_training_has_a_file_of_settings_that_name_no_path(run, tmp_path):
    record = json.loads((run / "run.json").read_text())
    words = {"tokenizer": "/home/me/words"}
    first = {**record, "config": {**record["config"], "model": {**record["config"]["model"], **words}}}
    model = {**record["config"]["model"], "checkpoint": "/home/me/first/final"}
    write(run / "run.json", {**record, "config": {**record["config"], "model": model}, "started_from": first})
    ship_checkpoint(run, tmp_path / "out")
    one, two = (yaml.safe_load((tmp_path / "out" / name).read_text()) for name in ("training-1.yaml", "training.yaml"))
    assert one["model"]["tokenizer"] == "words"
    assert one["model"]["checkpoint"] is None
    assert two["model"]["checkpoint"] == "runs/harbour-1/final"
    assert one["data"]["data_dir"] == two["data"]["data_dir"] == "scenes"


def test_a_shipped_folder_can_be_shipped_again_with_its_scores_and_keeps_its_weights(run, tmp_path):
    ship_checkpoint(run, tmp_path / "first")
    scores = write_scores(tmp_path / "s.json", threshold=0.5)  # that of a model without calibration
    ship_checkpoint(tmp_path / "first", tmp_path / "second", [scores])
    first, second = (tmp_path / name / "model.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert "43.22 (31.0 to 55.1)" in (tmp_path / "second" / "README.md").read_text()


def state_resolutions(folder, value):
    for path in folder.glob("train/QAs/*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "ground_resolution": value}))


def stated_resolution(folder):
    return json.loads((folder / "config.json").read_text())["ground_resolution"]


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_the_ground_resolution_of_the_run_is_kept(run, tmp_path, dtype):
    path = run / "final" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ground_resolution": [0.5, 8.0]}))
    ship_checkpoint(run, tmp_path / "out", dtype=dtype)
    assert stated_resolution(tmp_path / "out") == [0.5, 8.0]
    assert "0.5 to 8 m per pixel" in (tmp_path / "out" / "README.md").read_text()


def test_a_run_that_states_no_ground_resolution_gets_that_of_its_data(run, tmp_path):
    """Scenes of 24 x 32 pixels of 2 m are 64 m wide, on a canvas of 256 pixels: 0.25 m."""
    ship_checkpoint(run, tmp_path / "before")
    assert stated_resolution(tmp_path / "before") is None
    state_resolutions(tmp_path / "scenes", 2.0)
    ship_checkpoint(run, tmp_path / "after")
    assert stated_resolution(tmp_path / "after") == [0.25, 0.25]
    assert "0.25 m per pixel" in (tmp_path / "after" / "README.md").read_text()


def test_too_many_bytes_are_refused_and_leave_nothing(run, tmp_path):
    with pytest.raises(EarthReasonError, match="more than 100,000"):
        ship_checkpoint(run, tmp_path / "shelf" / "out", register=True, max_bytes=100_000)
    assert list((tmp_path / "shelf").iterdir()) == []


def test_a_registered_folder_is_found_by_its_name(run, tmp_path, monkeypatch):
    words = ["ship", run, "--out", tmp_path / "shelf" / "small", "--register"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "shelf")
    found = checkpoints.find_shipped("small")
    assert found.summary == "segearth_r1 with 1.2 million parameters, trained on EarthReason synthetic scenes"
    SegEarthR1Predictor.from_pretrained("small")


def test_missing_data_ask_for_their_folder(run, tmp_path):
    (tmp_path / "scenes").rename(tmp_path / "moved")
    with pytest.raises(DataNotFoundError, match="--data-dir"):
        ship_checkpoint(run, tmp_path / "out")
    ship_checkpoint(run, tmp_path / "out", data_dir=tmp_path / "moved")


def test_a_folder_without_a_record_is_refused(run, tmp_path):
    (run / "run.json").unlink()
    with pytest.raises(DataNotFoundError, match=r"run\.json"):
        ship_checkpoint(run, tmp_path / "out")


def test_a_damaged_index_is_refused_before_anything_is_written(run, tmp_path):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "index.json").write_text("[]")
    with pytest.raises(DataFormatError, match="not an index of checkpoints"):
        ship_checkpoint(run, shelf / "small", register=True)
    assert [path.name for path in shelf.iterdir()] == ["index.json"]
