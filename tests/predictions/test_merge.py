"""Merging of predictions of parts."""

import json

import numpy as np
import pytest

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import write_predictions
from earthreason.predictions.merge import merge_predictions
from earthreason.shards import Shard
from earthreason.types import Prediction

MASK = encode_mask(np.eye(5))
RECORDS = [
    Prediction("z", MASK, answer="the field ä"),
    Prediction("a", None, score=0.125),
    Prediction("m", MASK, targets=(MASK, MASK)),
    Prediction("q", None, failure="no JSON"),
]


def write_parts(folder, count=2, ending="json", **changes):
    paths = []
    for number in range(1, count + 1):
        shard = Shard(number, count)
        path = folder / f"part-{number}.{ending}"
        info = {"model": "m", "shard": str(shard), "split": "test", **changes.get(f"info{number}", {})}
        write_predictions(path, [RECORDS[n] for n in shard.items_of(len(RECORDS))], info)
        paths.append(path)
    return paths


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_merged_parts_are_the_bytes_of_the_whole_in_any_order_of_the_files(tmp_path, ending):
    write_predictions(tmp_path / f"whole.{ending}", RECORDS, {"model": "m", "split": "test"})
    for count in (1, 2, 3, 6):  # of six parts, two are empty
        merged = tmp_path / f"merged.{ending}"
        assert merge_predictions(write_parts(tmp_path, count, ending)[::-1], merged) == len(RECORDS)
        assert merged.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_counts_of_replies_add_up(tmp_path):
    tallies = {f"info{n}": {"missing_mask_token": {"replies": n, "of": 4, "share": n / 4}} for n in (1, 2)}
    merge_predictions(write_parts(tmp_path, **tallies), tmp_path / "merged.json")
    info = json.loads((tmp_path / "merged.json").read_text())["info"]
    assert info["missing_mask_token"] == {"replies": 3, "of": 8, "share": 0.375}


def test_transcripts_are_joined_in_the_order_of_the_parts(tmp_path):
    first, second = write_parts(tmp_path)
    first.with_suffix(".transcripts.jsonl").write_text('{"n": 1}\n')
    second.with_suffix(".transcripts.jsonl").write_text('{"n": 2}\n')
    merge_predictions([second, first], tmp_path / "merged.json")
    assert (tmp_path / "merged.transcripts.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n'


def test_a_missing_part_is_named_and_nothing_is_written(tmp_path):
    paths = write_parts(tmp_path, 3)
    with pytest.raises(EarthReasonError, match="missing parts: 2/3"):
        merge_predictions([paths[0], paths[2]], tmp_path / "merged.json")
    assert not (tmp_path / "merged.json").exists()


def test_a_file_without_a_part_is_named(tmp_path):
    write_predictions(tmp_path / "whole.json", RECORDS, {"model": "m"})
    with pytest.raises(EarthReasonError, match=r"whole\.json: not a part of predictions"):
        merge_predictions([tmp_path / "whole.json"], tmp_path / "merged.json")


def test_parts_of_two_models_are_not_mixed(tmp_path):
    with pytest.raises(EarthReasonError, match=r"part-2\.json: made with another model"):
        merge_predictions(write_parts(tmp_path, info2={"model": "n"}), tmp_path / "merged.json")


def test_a_question_in_two_parts_is_named_and_nothing_is_written(tmp_path):
    first, second = write_parts(tmp_path)
    write_predictions(second, [RECORDS[0]], {"model": "m", "shard": "2/2", "split": "test"})
    with pytest.raises(PredictionsError, match=r"sample 'z' question 0 is in .*part-1\.json too"):
        merge_predictions([first, second], tmp_path / "merged.json")
    assert not (tmp_path / "merged.json").exists()
