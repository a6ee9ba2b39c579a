"""Rows whose pictures stay encoded are read from the files that are there: nothing is written, and no bar appears."""

from io import BytesIO

import pytest
from datasets import Dataset, Features, Image, List, Value, load_from_disk
from PIL import Image as Pictures

from earthreason.data.schema import undecoded


def png(level):
    buffer = BytesIO()
    Pictures.new("L", (3, 2), level).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def rows(tmp_path):
    features = Features({"sample_id": Value("string"), "image": Image(), "targets": List(Image())})
    columns = {
        "sample_id": ["a", "b"],
        "image": [{"bytes": png(7), "path": None}] * 2,
        "targets": [[{"bytes": png(1), "path": None}, {"bytes": png(2), "path": None}], None],
    }
    Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "rows")
    return load_from_disk(tmp_path / "rows")


def test_pictures_and_lists_of_pictures_keep_their_bytes(rows):
    read = undecoded(rows, "image", "targets")
    first, second = read
    assert first["image"]["bytes"] == png(7)
    assert [each["bytes"] for each in first["targets"]] == [png(1), png(2)]
    assert second["targets"] is None
    assert [row["targets"] is None for row in read.select([1, 0])] == [True, False]


def test_nothing_is_written_nothing_is_shown_and_the_callers_rows_still_decode(rows, tmp_path, capfd):
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    undecoded(rows, "image", "targets")
    assert sorted(tmp_path.rglob("*")) == before
    assert capfd.readouterr().err == ""
    assert rows[0]["targets"][1].getpixel((0, 0)) == 2
