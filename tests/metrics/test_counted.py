"""Counts of parts, merged and scored as those of the whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earthreason import evaluate
from earthreason.errors import DataFormatError, EarthReasonError, PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.counted import count_part, merge_counts, open_counts, part_to_count
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference, References
from earthreason.metrics.result import Result
from earthreason.predictions import write_predictions
from earthreason.predictions.reader import open_predictions
from earthreason.shards import Shard
from earthreason.types import Prediction


def make_set(folder: Path, samples: int, seed: int, missing: bool = False) -> tuple[Path, References]:
    """Make ground truth of small masks, some of several targets, and predictions in another order."""
    rng = np.random.default_rng(seed)

    def mask(share: float) -> np.ndarray:
        return rng.random((12, 10)) < share

    truth, answers = [], []
    for number in range(samples):
        name = f"test-{rng.integers(10_000):04d}-{number}"
        target, other = mask(rng.choice([0, 0.3])), mask(0.1)
        several = (encode_mask(target), encode_mask(other)) if number % 3 == 0 else ()
        whole = encode_mask(target | other if several else target)
        facts = {"category": f"c{number % 2}", "ground_resolution": float(number % 4)}
        ignored = encode_mask(~(target | other)) if number % 4 == 1 else None
        truth.append(Reference(name, whole, question_count=2, targets=several, ignore=ignored, **facts))
        for index in (0, 1):
            if not (missing and rng.random() < 0.3):
                given = encode_mask(mask(0.3)) if rng.random() < 0.8 else None
                answers.append(
                    Prediction(name, given, index, failure="no JSON" if given is None and rng.random() < 0.5 else None)
                )
    rng.shuffle(answers)
    path = folder / "preds.json"
    write_predictions(path, answers, {"model": "m"})
    return path, References(truth, "truth", config="sample", split="test")


def count_all(path: Path, truth: References, count: int) -> Path:
    parts = []
    for number in range(1, count + 1):
        parts.append(path.with_name(f"counts-{number}.parquet"))
        count_part(open_predictions(path), truth, Shard(number, count), parts[-1])
    merge_counts(parts[::-1], path.with_name("counts.parquet"))
    return path.with_name("counts.parquet")


def described(result: Result) -> dict:
    values = result.to_dict()
    del values["provenance"]["date"]
    return values


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.integers(1, 14), count=st.integers(1, 5), seed=st.integers(0, 99), missing=st.booleans())
def test_merged_counts_give_every_figure_interval_and_group_of_the_whole(tmp_path, samples, count, seed, missing):
    path, truth = make_set(tmp_path, samples, seed, missing)
    counts = count_all(path, truth, count)
    options = {"missing": "empty" if missing else "error", "resamples": 40, "seed": 3}
    whole = evaluate_protocols(path, truth, list(PROTOCOLS), **options)
    merged = evaluate_protocols(counts, truth, list(PROTOCOLS), **options)
    assert list(map(described, merged)) == list(map(described, whole))
    assert merged[0].per_sample.equals(whole[0].per_sample)


def test_counts_of_no_answer_at_all_are_scored_as_empty_answers(tmp_path):
    path, truth = make_set(tmp_path, 3, 0)
    write_predictions(path, [], {"model": "m"})
    whole = evaluate(path, truth, missing="empty", resamples=20)
    assert described(evaluate(count_all(path, truth, 2), truth, missing="empty", resamples=20)) == described(whole)


def test_boundary_iou_reads_the_masks_that_were_counted(tmp_path):
    path, truth = make_set(tmp_path, 6, 1)
    counts = count_all(path, truth, 2)
    options = {"protocol": "native", "resamples": 0, "boundary": True}
    assert described(evaluate(counts, truth, **options)) == described(evaluate(path, truth, **options))
    write_predictions(path, [Prediction(next(iter(truth)), None)])
    with pytest.raises(PredictionsError, match="changed since it was counted"):
        evaluate(counts, truth, **options)


def test_parts_of_predictions_are_counted_without_a_merged_file(tmp_path):
    path, truth = make_set(tmp_path, 9, 5)
    answers = list(open_predictions(path).read([]))
    parts = []
    for number in (1, 2):
        shard = Shard(number, 2)
        names = {list(truth)[n] for n in shard.items_of(len(truth))}
        part = tmp_path / f"part-{number}.json"
        write_predictions(part, [a for a in answers if a.sample_id in names], {"model": "m", "shard": str(shard)})
        opened = open_predictions(part)
        parts.append(tmp_path / f"counts-{number}.parquet")
        assert part_to_count(opened, None, parts[-1]) == shard
        count_part(opened, truth, shard, parts[-1])
    merge_counts(parts, tmp_path / "counts.parquet")
    merged, whole = (evaluate(p, truth, resamples=30) for p in (tmp_path / "counts.parquet", path))
    assert merged == whole
    assert merged.provenance["model"] == "m"
    with pytest.raises(EarthReasonError, match="has part 1/2, not 2/2"):
        count_part(open_predictions(tmp_path / "part-1.json"), truth, Shard(2, 2), parts[0])


def test_one_part_is_not_scored_as_the_whole(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    count_all(path, truth, 2)
    with pytest.raises(EarthReasonError, match=r"has part 1/2 only; merge all parts first"):
        evaluate(tmp_path / "counts-1.parquet", truth)


def test_counts_are_not_scored_against_other_ground_truth(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    counts = count_all(path, truth, 2)
    listed = list(truth.values())
    other = References([*listed[:3], Reference(listed[3].sample_id, encode_mask(np.ones((12, 10))))], "other")
    with pytest.raises(EarthReasonError, match="part 2/2 was counted against other ground truth than other"):
        evaluate(counts, other)


def test_an_unknown_sample_is_a_fault_of_every_part(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    write_predictions(path, [Prediction("elsewhere", None)])
    with pytest.raises(PredictionsError, match="'elsewhere': not in truth"):
        count_part(open_predictions(path), truth, Shard(1, 2), tmp_path / "counts.parquet")
    assert not (tmp_path / "counts.parquet").exists()


def test_a_missing_part_is_named(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    count_all(path, truth, 2)
    with pytest.raises(EarthReasonError, match="missing parts: 2/2"):
        merge_counts([tmp_path / "counts-1.parquet"], tmp_path / "merged.parquet")


def test_merged_counts_are_no_part(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    counts = count_all(path, truth, 2)
    with pytest.raises(EarthReasonError, match=r"counts\.parquet is whole already"):
        merge_counts([counts], tmp_path / "merged.parquet")


def test_counts_of_two_models_are_not_mixed(tmp_path):
    path, truth = make_set(tmp_path, 4, 1)
    count_all(path, truth, 2)
    write_predictions(path, [], {"model": "n"})
    count_part(open_predictions(path), truth, Shard(2, 2), tmp_path / "counts-2.parquet")
    with pytest.raises(EarthReasonError, match="made with another model"):
        merge_counts([tmp_path / f"counts-{n}.parquet" for n in (1, 2)], tmp_path / "merged.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1 nothing PAR1", b"{}"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path, content):
    (tmp_path / "counts.parquet").write_bytes(content)
    with pytest.raises(DataFormatError, match="not a readable parquet file"):
        open_counts(tmp_path / "counts.parquet")


def test_another_parquet_file_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "counts.parquet")
    with pytest.raises(DataFormatError, match="no counts of `earthreason-eval --counts`"):
        open_counts(tmp_path / "counts.parquet")


def test_a_part_and_a_file_for_counts_are_given_together(tmp_path):
    path, _ = make_set(tmp_path, 1, 1)
    opened = open_predictions(path)
    with pytest.raises(EarthReasonError, match=r"--shard needs --counts FILE\.parquet"):
        part_to_count(opened, "1/2", None)
    with pytest.raises(EarthReasonError, match="--counts needs --shard I/N"):
        part_to_count(opened, None, tmp_path / "counts.parquet")
    with pytest.raises(EarthReasonError, match=r"must end in \.parquet"):
        part_to_count(opened, "1/2", tmp_path / "counts.json")
    assert part_to_count(opened, None, None) is None
