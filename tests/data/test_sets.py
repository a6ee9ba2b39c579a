"""Every set of the field, made in its published form by independent code, is recognised by exactly its own reader."""

import importlib
import json

import numpy as np
import pytest

from earthreason import load_dataset
from earthreason.data.sources import FORMATS, find_format, open_folder_or_file
from earthreason.errors import DataFormatError, DataNotFoundError
from tests.conftest import write_sample

SETS = {
    "lasers": "lasers",
    "drseg": "drseg",
    "gres": "gres",
    "geopixel": "geopixel",
    "geopix_instruct": "geopix-instruct",
}
COUNTS = {
    "lasers": {"train": 1, "test": 3},
    "drseg": {"train": 1, "validation": 1, "test": 2},
    "gres": {"train": 1, "validation": 1, "test": 2},
    "geopixel": {"train": 1, "test": 1},
    "geopix_instruct": {"train": 2, "validation": 1},
}


@pytest.fixture(params=SETS)
def made(request, tmp_path):
    folder = tmp_path / "set"
    importlib.import_module(f"tests.data.fakes.{request.param}").make(folder)
    return request.param, folder


def test_exactly_its_own_reader_opens_a_set_and_a_folder_around_it(made):
    module, folder = made
    for place in (folder, folder.parent):
        source_format, found = find_format(place)
        assert source_format.name == SETS[module]
        assert found.is_relative_to(place)
        assert open_folder_or_file(place).counts == COUNTS[module]
    claimed = {name for name in SETS.values() if FORMATS[name].matches(folder)}
    assert claimed == {SETS[module]}


def test_every_set_loads_by_its_configuration_with_ids_that_do_not_depend_on_other_splits(made):
    module, folder = made
    loaded = load_dataset("earthreason", SETS[module], data_dir=folder)
    assert {split: len(rows) for split, rows in loaded.items()} == COUNTS[module]
    ids = [row["sample_id"] for rows in loaded.values() for row in rows]
    assert len(set(ids)) == len(ids)
    for split, rows in loaded.items():
        assert all(split in row["sample_id"] for row in rows)
        for row in rows:
            mask = np.asarray(row["mask"]) > 0
            assert mask.shape == (row["image"].height, row["image"].width)
            assert row["is_empty"] == (not mask.any())
            assert row["questions"][0]
            if row["targets"] is not None:
                union = np.any([np.asarray(target) > 0 for target in row["targets"]], axis=0)
                assert np.array_equal(union, mask)
                assert len(row["targets"]) > 1
    about = FORMATS[SETS[module]].about
    info = next(iter(loaded.values())).info
    assert (info.license, info.citation) == (about.licence, about.citation)


def test_no_reader_of_a_set_claims_other_data(tmp_path, release):
    reasonseg = tmp_path / "reasonseg" / "train"
    write_sample(reasonseg, "a")
    (reasonseg / "images" / "a.json").write_text(json.dumps({"text": ["a"], "shapes": []}))
    coco = tmp_path / "coco"
    for part in ("annotations", "images"):
        (coco / part).mkdir(parents=True)
    (coco / "annotations" / "test.json").write_text(json.dumps({"images": [], "annotations": []}))
    muse = tmp_path / "muse"
    muse.mkdir()
    entry = {"height": 4, "width": 4, "ann_list": [], "questions": ["a"], "answers": [[]], "file_name": "1.jpg"}
    (muse / "muse_val.json").write_text(json.dumps([entry]))
    for folder in (reasonseg / "images", coco, muse, release):
        assert [name for name in SETS.values() if FORMATS[name].matches(folder)] == []


@pytest.mark.parametrize("name", SETS.values())
def test_a_folder_without_the_set_is_one_clear_line(tmp_path, name):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataNotFoundError, match=r"contains no |there is no") as caught:
            FORMATS[name].open(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("lasers", "test/annotations/test_reasoning.json"),
        ("drseg", "labels/DRSeg_val.json"),
        ("geopixel", "GeoPixelD.json"),
        ("geopix_instruct", "data/valid.SOTA_T-00000-of-00001.parquet"),
    ],
)
@pytest.mark.parametrize("content", ["[{", '{"a": 1}', ""])
def test_a_broken_index_is_one_error_that_names_it(tmp_path, module, path, content):
    importlib.import_module(f"tests.data.fakes.{module}").make(tmp_path)
    (tmp_path / path).write_text(content)
    with pytest.raises(DataFormatError, match=path) as caught:
        FORMATS[SETS[module]].open(tmp_path)
    assert "\n" not in str(caught.value)
