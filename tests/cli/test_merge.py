"""`--shard` and `earthreason merge` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.cli.merge import merge_command
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.truth import load_references
from earthreason.predictions import write_predictions
from earthreason.predictions.folder import remembered
from earthreason.shards import Shard
from earthreason.types import Prediction


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five samples as ground truth, and their predictions."""
    monkeypatch.chdir(tmp_path)
    masks = [encode_mask(np.eye(6, k=shift)) for shift in range(5)]
    samples = [{"sample_id": str(n), "segmentation": mask} for n, mask in enumerate(masks)]
    (tmp_path / "truth.json").write_text(json.dumps({"samples": samples}))
    write_predictions(tmp_path / "preds.json", [Prediction(str(n), masks[n // 2]) for n in range(5)])
    return tmp_path


def test_parts_are_counted_merged_and_scored_as_the_whole(folder):
    common = "--ground-truth", "truth.json", "--json", "-", "--resamples", "20"
    whole = json.loads(invoke("eval", "preds.json", *common).stdout)
    for number in (1, 2):
        told = invoke(
            *("eval", "preds.json", "--ground-truth", "truth.json"),
            *("--shard", f"{number}/2", "--counts", f"counts-{number}.parquet"),
        )
        assert told.stdout.splitlines() == [
            f"counts-{number}.parquet: {number + 1} questions of part {number}/2",
            "merge all: earthreason merge counts-*.parquet --out counts.parquet",
        ]
    assert "counts of 2 parts" in invoke("merge", "counts-1.parquet", "counts-2.parquet", "--out", "c.parquet").stdout
    merged = json.loads(invoke("eval", "c.parquet", *common).stdout)
    for result in (*whole["results"], *merged["results"]):
        del result["provenance"]["date"]
    assert merged == whole


def test_a_part_without_a_file_for_its_counts_is_refused(folder):
    with pytest.raises(EarthReasonError, match=r"--shard needs --counts FILE\.parquet"):
        invoke("eval", "preds.json", "--ground-truth", "truth.json", "--shard", "1/2")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("verify", "sample", "--shard", "1/2"), "--shard needs --journal"),
        (("verify", "sample", "--shard", "3/2", "--journal", "f.jsonl"), "--shard 3/2: parts count from 1"),
        (("verify", "sample", "--shard", "1/2", "--journal", "f.jsonl", "--limit", "2"), "--limit .* --shard"),
        (("verify", "sample", "--journal", "f.jsonl", "--limit", "2"), "--limit .* --journal"),
        (("export", "sample", "--format", "coco", "--out", "o", "--shard", "x"), "write I/N"),
        (("questions", "generate", "sample", "--out", "o", "--shard", "0/2", "--dry-run"), "parts count from 1"),
    ],
)
def test_a_part_that_cannot_be_is_refused_before_anything_is_done(folder, command, reason):
    with pytest.raises(EarthReasonError, match=reason):
        invoke(*command)
    assert sorted(path.name for path in folder.iterdir()) == ["preds.json", "truth.json"]


def test_a_limit_holds_for_the_parts_and_for_the_whole(folder):
    common = "--ground-truth", "truth.json", "--limit", "3"
    whole = json.loads(invoke("eval", "preds.json", *common, "--json", "-").stdout)
    for number in (1, 2):
        invoke("eval", "preds.json", *common, "--shard", f"{number}/2", "--counts", f"counts-{number}.parquet")
    invoke("merge", "counts-1.parquet", "counts-2.parquet", "--out", "c.parquet")
    merged = json.loads(invoke("eval", "c.parquet", *common, "--json", "-").stdout)
    assert [r["scores"] for r in merged["results"]] == [r["scores"] for r in whole["results"]]
    assert merged["results"][0]["questions"] == 3
    with pytest.raises(EarthReasonError, match="choose the same .* --limit"):
        invoke("eval", "c.parquet", "--ground-truth", "truth.json")


def test_a_limited_export_in_parts_is_the_limited_export(folder):
    common = "export", "sample", "--format", "parquet", "--limit", "3"
    assert "train 3" in invoke(*common, "--out", "whole").stdout
    for number in (1, 2):
        told = invoke(*common, "--shard", f"{number}/2", "--out", f"part-{number}").stdout
        assert told.splitlines()[-1] == "merge all: earthreason merge part-* --out part"
    assert invoke("merge", "part-1", "part-2", "--out", "merged").exit_code == 0
    files = {path.relative_to("whole") for path in Path("whole").rglob("*") if path.is_file()}
    assert files == {path.relative_to("merged") for path in Path("merged").rglob("*") if path.is_file()}
    for file in files:
        assert Path("merged", file).read_bytes() == Path("whole", file).read_bytes(), file


@pytest.mark.parametrize("name", ["it's $HOME-{}.json", "a b_{}_of_3.json", "{}.json"])
def test_the_command_that_merges_works_in_a_shell(folder, name):
    paths = [folder / "my parts" / name.format(number) for number in (1, 2)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    written = merge_command(paths[1], Shard(2, 2)).removeprefix("earthreason merge ")
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {written}', sys.executable, code], capture_output=True, text=True, check=True
    )
    *parts, option, out = json.loads(done.stdout)
    assert sorted(parts) == [str(path) for path in paths]
    assert option == "--out"
    assert Path(out).parent == paths[0].parent
    assert Path(out) not in paths


@pytest.mark.parametrize("name", ["b.json", "a_2_of_2.json"])
def test_a_name_that_does_not_tell_the_others_stands_with_words(name):
    assert merge_command(Path(name), Shard(2, 2)) == f"earthreason merge {name} OTHER... --out WHOLE.json"


def test_merged_files_elsewhere_find_the_data_of_their_parts(folder):
    data = folder / "data"
    assert invoke("synth", "--train", "0", "--val", "0", "--test", "3", "--out", data).exit_code == 0
    names = sorted(load_references("default", "test", data))
    for number in (1, 2):
        part = folder / "deep" / "parts" / f"preds-{number}.json"
        part.parent.mkdir(parents=True, exist_ok=True)
        chosen = [names[n] for n in Shard(number, 2).items_of(3)]
        info = {"config": "default", "split": "test", **remembered(data, part), "shard": f"{number}/2"}
        write_predictions(part, [Prediction(name, None) for name in chosen], info)
        (folder / "counted").mkdir(exist_ok=True)
        assert invoke("eval", part, "--counts", f"counted/{number}.parquet").exit_code == 0
    Path("other").mkdir()
    invoke("merge", *sorted(Path("deep/parts").iterdir()), "--out", "other/preds.json")
    invoke("merge", *sorted(Path("counted").iterdir()), "--out", "counts.parquet")
    scores = [json.loads(invoke("eval", path, "--json", "-").stdout) for path in ("other/preds.json", "counts.parquet")]
    assert [scored["results"][0]["questions"] for scored in scores] == [3, 3]
    assert scores[0]["results"][0]["scores"] == scores[1]["results"][0]["scores"]
