"""What `eval` and `compare` write as JSON and CSV, and how they refuse numbers."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.masks.rle import encode_mask
from earthreason.predictions import write_predictions
from earthreason.types import Prediction

MASK = np.arange(54).reshape(6, 9) < 18


@pytest.fixture
def files(tmp_path):
    """A ground truth of 12 targets and 2 empty ones, predictions that are right, and predictions of no target."""
    truth = {f"t{k}": MASK for k in range(12)} | {"e0": MASK & False, "e1": MASK & False}
    samples = [
        {"sample_id": name, "segmentation": encode_mask(mask), "reasoning_type": "relation" if name < "t" else "spot"}
        for name, mask in truth.items()
    ]
    (tmp_path / "truth.json").write_text(json.dumps({"samples": samples}))
    info = {"model": "m", "config": "default", "split": "test"}
    right = [Prediction(name, encode_mask(mask) if mask.any() else None) for name, mask in truth.items()]
    write_predictions(tmp_path / "right.json", right, info)
    write_predictions(tmp_path / "none.json", [Prediction(name, None) for name in truth], {**info, "model": "n"})
    return tmp_path


def run(files, command, *names, **options):
    extra = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    paths = [str(files / name) for name in names]
    return CliRunner().invoke(app, [command, *paths, "--ground-truth", str(files / "truth.json"), *extra])


def test_the_json_of_eval_says_what_was_scored_and_which_intervals_lack(files):
    content = json.loads(run(files, "eval", "right.json", json="-", resamples=50).stdout)["results"][0]
    run_of = content["provenance"]
    assert [run_of[key] for key in ("model", "config", "split", "revision")] == ["m", None, None, None]
    assert run_of["date"].endswith("+00:00")
    assert content["grid"] == "letterbox-1024"
    assert content["intervals"]["N-acc"] is None
    assert content["no_interval"] == dict.fromkeys(("N-acc", "FP area"), "fewer than 10 images")
    # scipy: binomtest(12, 12).proportion_ci(method="wilson") is 0.7575064 to 1.
    assert content["intervals"]["T-acc"] == pytest.approx([0.7575064, 1])
    assert set(content["breakdowns"]) == {"reasoning_type", "target", "target_area"}


def test_the_table_of_eval_says_which_intervals_lack(files):
    lines = run(files, "eval", "right.json", resamples=50).stdout.splitlines()
    (row,) = [line for line in lines if line.strip().startswith("N-acc")]
    assert "fewer than 10 images" in row


def test_the_csv_of_eval_says_its_protocol_and_grid_in_every_row(files):
    run(files, "eval", "right.json", protocol="native", resamples=0, csv=files / "rows.csv")
    rows = list(csv.DictReader((files / "rows.csv").read_text().splitlines()))
    assert {(row["protocol"], row["grid"]) for row in rows} == {("native", "native")}
    assert {row["reasoning_type"] for row in rows} == {"relation", "spot"}


def test_the_json_of_compare_holds_both_models_with_intervals(files):
    result = run(files, "compare", "right.json", "none.json", json="-", resamples=50)
    (comparison,) = json.loads(result.stdout)["comparisons"]
    first, second = comparison["models"]["first"], comparison["models"]["second"]
    assert (first["provenance"]["model"], second["provenance"]["model"]) == ("m", "n")
    assert (first["scores"]["T-acc"], second["scores"]["T-acc"]) == (1, 0)
    assert first["intervals"]["T-acc"] == pytest.approx([0.7575064, 1])
    assert comparison["grid"] == "letterbox-1024"
    assert comparison["differences"]["N-acc"] == {"value": 0, "interval": None, "p_value": 1}
    assert comparison["no_interval"] == dict.fromkeys(("N-acc", "FP area"), "fewer than 10 images")


@pytest.mark.parametrize("command", ["eval", "compare"])
@pytest.mark.parametrize(
    ("option", "value"),
    [("resamples", -1), ("resamples", "many"), ("seed", -1), ("seed", "x"), ("workers", 0), ("workers", 1.5)],
)
def test_numbers_out_of_range_are_refused_by_name(files, command, option, value):
    names = ["right.json"] if command == "eval" else ["right.json", "none.json"]
    result = run(files, command, *names, **{option: value})
    assert result.exit_code == 2
    assert f"--{option}" in result.output
    assert "Traceback" not in result.output


def test_a_comparison_needs_resamples(files):
    result = run(files, "compare", "right.json", "none.json", resamples=0)
    assert result.exit_code != 0
    assert "resamples" in str(result.exception)


def test_eval_prints_the_scores_of_the_groups_that_are_asked_for(files):
    result = run(files, "eval", "right.json", by="reasoning_type", resamples=50)
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "by reasoning type" in result.stdout
    assert "2" in rows["relation"].split()
    assert "12" in rows["spot"].split()
    content = json.loads(run(files, "eval", "right.json", by="reasoning_type", json="-", resamples=50).stdout)
    relation, spot = content["strata"]["reasoning_type"]
    assert (relation["group"], relation["scores"]["N-acc"], relation["scores"]["T-acc"]) == ("relation", 1.0, None)
    # scipy: binomtest(12, 12).proportion_ci(method="wilson") is 0.7575064 to 1.
    assert list(spot["intervals"]["T-acc"].values()) == pytest.approx([0.7575064, 1])


def test_eval_says_that_a_group_is_alone_and_refuses_unknown_ones(files):
    assert "all questions are in one group" in run(files, "eval", "right.json", by="unseen", resamples=50).stdout
    refused = run(files, "eval", "right.json", by="categori")
    assert "unknown breakdown 'categori'; did you mean 'category'" in str(refused.exception)
