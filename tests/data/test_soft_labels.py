"""Labels with soft edges give one line in the log for each pass over a split, in every format with foreign labels."""

import io
import json

import numpy as np
import pyarrow
import pytest
from PIL import Image

from annotation_tools.formats.base import ReadOptions
from annotation_tools.formats.registry import read_masks
from earthreason.data.sources.jsonl import JSONLines
from earthreason.data.sources.release import Release
from earthreason.errors import DataFormatError

SOFT = np.zeros((24, 32), np.uint8)
SOFT[4:12, 4:20] = 255
SOFT[3, 4:20] = 90


def soften(path):
    Image.fromarray(SOFT).save(path)


def said(caplog):
    lines = [record.getMessage() for record in caplog.records if "grey levels" in record.getMessage()]
    caplog.clear()
    return lines


def test_each_load_of_a_release_says_it_once_per_split(release, caplog):
    for split, stem in (("train", "a"), ("train", "b"), ("test", "e")):
        paths = list((release / split / "labels").glob("*.png"))
        soften(next((path for path in paths if path.stem == stem), paths[0]))
    for _ in range(2):
        source = Release(release)
        masks = [record.is_empty for record in source.read("train")]
        assert len(masks) == 3
        (line,) = said(caplog)
        assert "a.png: the label has 3 grey levels, and every level but 0 is target" in line
        list(source.read("test"))
        assert len(said(caplog)) == 1
        list(source.read("validation"))
        assert said(caplog) == []


def test_two_loads_of_a_question_file_say_it_twice(tmp_path, caplog):
    rows = []
    for name in ("a", "b"):
        soften(tmp_path / f"{name}.png")
        Image.new("RGB", (32, 24)).save(tmp_path / f"{name}.jpg")
        rows.append(json.dumps({"id": name, "image": f"{name}.jpg", "mask": f"{name}.png", "problem": "Where?"}))
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    for _ in range(2):
        assert len(list(JSONLines(tmp_path / "q.jsonl").read("test"))) == 2
        assert len(said(caplog)) == 1


def test_an_import_of_masks_asks_for_a_threshold(tmp_path):
    for name in ("a", "b"):
        soften(tmp_path / f"{name}.png")
    with pytest.raises(DataFormatError, match=r"255 \(.* in 2 files\), 90 \(.* in 2 files\); choose one"):
        read_masks(tmp_path, {})
    assert read_masks(tmp_path, {}, ReadOptions(category=">0", unnamed="pond")).strangers == ["a.png", "b.png"]


def test_parquet_questions_say_it_once(tmp_path, caplog):
    from pyarrow import parquet

    from earthreason.data.sources.parquet import Parquet

    mask, image = io.BytesIO(), io.BytesIO()
    Image.fromarray(SOFT).save(mask, "PNG")
    Image.new("RGB", (32, 24)).save(image, "PNG")
    row = {"image": {"bytes": image.getvalue()}, "mask": {"bytes": mask.getvalue()}, "problem": "Where?"}
    rows = [{"id": name, **row} for name in ("a", "b")]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "test.parquet")
    for _ in range(2):
        assert len(list(Parquet(tmp_path).read("test"))) == 2
        assert len(said(caplog)) == 1
