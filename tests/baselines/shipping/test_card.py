"""The model card says what the records say; records that do not fit are refused."""

import json

import pytest
import yaml
from huggingface_hub import ModelCard

from baselines.shipping.card import Data, read_run, read_scores, write_model_card
from earthreason.errors import DataFormatError, DataNotFoundError

RUN = {
    "name": "harbour",
    "steps": 512,
    "processes": 1,
    "seconds": 150.0,
    "device": "NVIDIA H100",
    "parameters": 1234567,
    "commit": "c0ffee",
    "earthreason": "0.1.0",
    "torch": "2.9.0",
    "transformers": "5.1.0",
    "calibration": {"no_target_threshold": 0.25, "samples": 300, "empties": 70},
    "config": {
        "seed": 3,
        "model": {"name": "segearth_r1", "vision": "efficientnet_lite0", "size": "tiny"},
        "data": {"config": "default", "data_dir": "scenes", "train": "train"},
        "optim": {"global_batch": 16},
    },
}
RESULT = {
    "protocol": "segearth-r1",
    "ground_truth": "sample test",
    "questions": 100,
    "images": 100,
    "empty_targets": 11,
    "scores": {"gIoU": 0.43218, "cIoU": None, "Pr@0.5": 0.5, "N-acc": 0.25, "T-acc": 1.0},
    "intervals": {"gIoU": [0.3104, 0.551]},
    "provenance": {"model": "segearth_r1"},
}
DATA = Data(title="Drawn scenes", licence="CC0-1.0", origin="No photographs.", command="draw --n 5")


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def write_scores(path, threshold=0.25, **changes):
    return write(path, {"results": [{**RESULT, **changes}], "no_target_threshold": threshold})


@pytest.fixture
def run(tmp_path):
    return read_run(write(tmp_path / "run.json", RUN))


def test_the_card_states_training_data_scores_limits_and_hashes(run, tmp_path):
    score = read_scores(write_scores(tmp_path / "s.json"), run, 0.25)
    card = write_model_card(run, DATA, [score], {"image_size": 256}, "bfloat16", {"model.safetensors": "ab12"})
    front, body = card.split("---\n")[1:3]
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    assert "# harbour\n" in body
    assert "with 1,234,567 parameters" in body
    assert "| sample test | segearth-r1 | 100 | 11 | 43.22 (31.0 to 55.1) | – | 50.00 | 25.00 | 100.00 |\n" in body
    assert "Drawn scenes. No photographs. Licence: CC0-1.0." in body
    assert "`draw --n 5`" in body
    assert "`earthreason-baselines train segearth_r1 --config training.yaml --out runs/harbour`" in body
    assert "512 steps, 8,192 samples, 2.5 minutes on NVIDIA H100.\n" in body
    assert "Commit c0ffee; earthreason 0.1.0, torch 2.9.0, transformers 5.1.0." in body
    assert "whose own licences apply: `efficientnet_lite0`." in body
    assert "threshold 0.25 was chosen on 300 validation samples, 70 of them empty" in body
    assert "256 × 256 px" in body
    assert "| `model.safetensors` | `ab12` |\n" in body


def test_a_card_states_every_stage_of_training_with_its_own_settings(tmp_path):
    words = {**RUN["config"], "model": {**RUN["config"]["model"], "tokenizer": "minilm"}}
    first = {**RUN, "steps": 100, "device": "cpu", "cpus": 2, "gpu_hours": 0.0, "commit": "bead", "config": words}
    model = {**words["model"], "checkpoint": "/home/me/first/final", "vision": None}
    second = {**RUN, "config": {**RUN["config"], "model": model}, "started_from": first}
    run = read_run(write(tmp_path / "run.json", second))
    card = write_model_card(run, DATA, [], {"image_size": 256}, "int8", {})
    training = card.partition("## Training")[2].partition("## Limits")[0]
    one, two = training.split("- Stage ")[1:]
    assert one.startswith("1: `earthreason-baselines train segearth_r1 --config training-1.yaml --out runs/harbour-1`")
    assert "100 steps, 1,600 samples, 2.5 minutes on 2 CPU cores.\n  Commit bead;" in one
    assert two.startswith("2: `earthreason-baselines train segearth_r1 --config training.yaml --out runs/harbour`")
    assert "512 steps, 8,192 samples, 2.5 minutes on NVIDIA H100.\n  Commit c0ffee;" in two
    # Those of the first stage: the checkpoint of the second is its result.
    assert "own licences apply: `efficientnet_lite0`, `sentence-transformers/all-MiniLM-L6-v2`." in training
    assert "/home/me" not in card


def test_the_tables_of_the_card_have_no_line_between_their_rows(run, tmp_path):
    scores = [read_scores(write_scores(tmp_path / f"{n}.json", ground_truth=f"split {n}"), run, 0.25) for n in (1, 2)]
    card = write_model_card(run, DATA, scores, {"image_size": 256}, "bfloat16", {"a": "1", "b": "2"})
    table = card.partition("| data |")[2].partition("\n\n")[0].splitlines()
    assert [line.count("|") for line in table[1:]] == [10, 10, 10]
    assert "| `a` | `1` |\n| `b` | `2` |\n" in card


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"ground_resolution": [0.5, 8.0]}, "ground resolutions of 0.5 to 8 m per pixel of this canvas"),
        ({"ground_resolution": None}, "ground resolution of its training images is unknown"),
        ({}, "ground resolution of its training images is unknown"),
    ],
)
def test_the_card_states_the_ground_resolution_that_the_model_learned_at(run, stated, words):
    card = write_model_card(run, DATA, [], {"image_size": 256, **stated}, "bfloat16", {})
    limits = card.partition("## Limits")[2].partition("## Files")[0].strip().splitlines()
    assert words in limits[2]
    assert all(line.startswith("- ") for line in limits)


def test_a_card_without_scores_says_so(run):
    assert "Not scored." in write_model_card(run, DATA, [], {"image_size": 256}, "bfloat16", {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"provenance": {"model": "lisa"}}, "scores of the model lisa, but the checkpoint is segearth_r1"),
        ({"threshold": 0.5}, "threshold 0.5, but the checkpoint has 0.25"),
        ({"intervals": {}}, "no scores with intervals"),
        ({"scores": "high"}, "not what `earthreason-eval --json` writes: results.0.scores"),
    ],
)
def test_scores_that_do_not_fit_are_refused_in_one_line(run, tmp_path, change, words):
    with pytest.raises(DataFormatError, match=words) as caught:
        read_scores(write_scores(tmp_path / "s.json", **change), run, 0.25)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"model": "saliency", "config": "sample"}'])
def test_a_file_that_is_no_record_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataFormatError, match="not the record of a training run") as caught:
        read_run(tmp_path / "run.json")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(run, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"none\.json"):
        read_scores(tmp_path / "none.json", run, None)


def test_the_hub_client_reads_library_task_data_and_results_from_the_card(run, tmp_path):
    score = read_scores(write_scores(tmp_path / "s.json"), run, 0.25)
    data = ModelCard(write_model_card(run, DATA, [score], {"image_size": 256}, "bfloat16", {})).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("earthreason", "image-segmentation", "apache-2.0")
    assert data.model_name == "harbour"
    assert {result.metric_name: result.metric_value for result in data.eval_results} == {
        "gIoU": 43.22,
        "Pr@0.5": 50.0,
        "N-acc": 25.0,
        "T-acc": 100.0,
    }
    two = [score, score.model_copy(update={"ground_truth": "diagnostic test"})]
    card = write_model_card(run, DATA, two, {"image_size": 256}, "bfloat16", {})
    named = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"]
    assert [entry["dataset"]["config"] for entry in named] == ["sample test", "diagnostic test"]
    assert data.datasets is None  # the run read a folder of its own
    public = run.model_copy(deep=True)
    public.config.data.data_dir = None
    data = ModelCard(write_model_card(public, DATA, [], {"image_size": 256}, "bfloat16", {})).data
    assert data.datasets == ["earth-insights/EarthReason"]
