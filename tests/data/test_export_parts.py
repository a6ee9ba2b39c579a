"""Exports in parts, merged to one dataset."""

import json
from pathlib import Path

import pytest
from datasets import load_dataset

from earthreason.data import prepared
from earthreason.data.about import About
from earthreason.data.exports import export, export_part
from earthreason.data.omissions import LEFT_OUT
from earthreason.data.reader import open_source, read_all
from earthreason.data.writers import parquet
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.shards import Shard
from tests.data.memory import Memory, box, sample, several

ABOUT = About("Harbours", "CC-BY-4.0", "Drawn.")


@pytest.fixture
def source(monkeypatch):
    """Seven training samples and two test samples, two samples to a file."""
    for module in (prepared, parquet):
        monkeypatch.setattr(module, "ROWS_PER_FILE", 2)
    return Memory({"train": [sample(f"s{n}", box(n, 3, 9, 13)) for n in range(7)], "test": several()["test"]})


def export_all(source, folder: Path, count: int) -> list[Path]:
    parts = [folder / f"part-{number}-{count}" for number in range(1, count + 1)]
    for number, part in enumerate(parts, start=1):
        export_part(source, "parquet", part, Shard(number, count), about=ABOUT)
    return parts


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_merged_parts_are_the_bytes_of_the_whole(source, tmp_path, count):
    export(source, "parquet", tmp_path / "whole", about=ABOUT)
    assert parquet.merge_parts(export_all(source, tmp_path, count)[::-1], tmp_path / "merged") == {
        "train": 7,
        "test": 2,
    }
    assert content_of(tmp_path / "merged") == content_of(tmp_path / "whole")


def test_datasets_reads_the_merged_parts_in_the_order_of_the_source(source, tmp_path):
    parquet.merge_parts(export_all(source, tmp_path, 3), tmp_path / "merged")
    rows = load_dataset(str(tmp_path / "merged"), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["sample_id"] == [f"s{n}" for n in range(7)]


def test_samples_that_cannot_be_read_are_listed_in_their_part_and_in_the_whole(release, tmp_path, monkeypatch):
    for module in (prepared, parquet):
        monkeypatch.setattr(module, "ROWS_PER_FILE", 1)
    next((release / "train").rglob("labels/b.*")).write_bytes(b"broken")
    parts = []
    for number in (1, 2):
        opened = open_source(release)
        opened.tolerance = type(opened.tolerance)(share=0.5)
        parts.append(tmp_path / f"part-{number}")
        export_part(opened, "parquet", parts[-1], Shard(number, 2), about=ABOUT)
    assert parquet.merge_parts(parts, tmp_path / "merged") == {"train": 2, "validation": 1, "test": 2}
    left_out = json.loads((tmp_path / "merged" / LEFT_OUT).read_text())
    assert [entry["sample"] for entry in left_out["left_out"]] == ["b"]
    names = [record.sample_id for _, record in read_all(open_source(tmp_path / "merged"))]
    assert [name.rpartition("-")[2] for name in names] == ["a", "c", "d", "e", "f"]


def test_too_many_broken_samples_are_refused_at_the_merge(release, tmp_path):
    next((release / "train").rglob("labels/b.*")).write_bytes(b"broken")
    export_part(open_source(release), "parquet", tmp_path / "part", Shard(1, 1), about=ABOUT)
    with pytest.raises(DataFormatError, match=r"1 of 3 samples of train .* cannot be read"):
        parquet.merge_parts([tmp_path / "part"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_missing_part_is_named(source, tmp_path):
    parts = export_all(source, tmp_path, 3)
    with pytest.raises(EarthReasonError, match="missing parts: 2/3"):
        parquet.merge_parts([parts[0], parts[2]], tmp_path / "merged")


def test_parts_of_two_sources_are_not_mixed(source, tmp_path):
    parts = export_all(source, tmp_path, 2)
    other = Memory({"train": [sample("t", box(1, 3, 9, 13))]})
    export_part(other, "parquet", tmp_path / "other", Shard(2, 2), about=ABOUT)
    with pytest.raises(EarthReasonError, match="other: a part of another export"):
        parquet.merge_parts([parts[0], tmp_path / "other"], tmp_path / "merged")


def test_an_id_in_two_parts_is_refused(source, tmp_path):
    twins = Memory({"train": [sample("s", box(n, 3, 9, 13)) for n in range(4)]})
    with pytest.raises(DataFormatError, match="sample id 's' is in train-00000-of-00002"):
        parquet.merge_parts(export_all(twins, tmp_path, 2), tmp_path / "merged")


def test_another_format_has_no_parts(source, tmp_path):
    with pytest.raises(EarthReasonError, match="--shard is for --format parquet"):
        export_part(source, "coco", tmp_path / "out", Shard(1, 2), about=ABOUT)


def test_a_folder_that_is_no_part_is_refused(tmp_path):
    with pytest.raises(EarthReasonError, match=r"not a part of an export: it has no part\.json"):
        parquet.merge_parts([tmp_path], tmp_path / "merged")
