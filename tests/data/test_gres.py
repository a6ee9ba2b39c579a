"""GRES: both layouts, polygons as LISA draws them with OpenCV."""

import json

import numpy as np
import pytest

from earthreason.data.sources import find_format
from earthreason.data.sources.gres import GRES
from tests.data.fakes import gres as fake
from tests.data.reading import mask_pixels, read_every

NAMES = {"train": "train", "val": "validation", "test": "test"}


def read(folder, split="test"):
    return read_every(GRES(folder), split)


LAYOUTS = [
    fake.make,
    lambda folder: fake.make(folder, "gres_annotations", "gres_images"),
    lambda folder: fake.make(folder, "gres_annotations", "gres-images"),
    lambda folder: fake.make(folder / "GRES"),
    fake.make_side_by_side,
]


@pytest.mark.parametrize("make", LAYOUTS)
def test_every_layout_gives_the_same_samples_and_masks(tmp_path, make):
    make(tmp_path)
    assert find_format(tmp_path)[0].name == "gres"
    for name, split in NAMES.items():
        records, left_out = read(tmp_path, split)
        assert list(records) == [f"gres_{split}_{stem}" for stem in fake.SPLITS[name]]
        assert not left_out
        for stem, record in zip(fake.SPLITS[name], records.values(), strict=True):
            assert np.array_equal(mask_pixels(record.mask), fake.expected(stem))
            assert len(record.questions) == (3 if name == "train" else 1)


def test_a_list_names_the_subset_of_an_image(tmp_path):
    fake.make(tmp_path)
    records, _ = read(tmp_path)
    subsets = {sample_id: json.loads(record.extra)["subset"] for sample_id, record in records.items()}
    first, second = (f"gres_test_{stem}" for stem in fake.SPLITS["test"])
    assert subsets == {first: "large", second: "small"}


def test_side_by_side_without_lists_and_names_of_its_own_opens_by_its_configuration(tmp_path):
    fake.make_side_by_side(tmp_path)
    for path in tmp_path.rglob("*.*"):
        path.unlink() if path.suffix == ".txt" else path.rename(path.with_name(path.name.replace("lisat_gres_", "x")))
    assert find_format(tmp_path)[0].name == "reasonseg"
    assert list(read(tmp_path)[0]) == [f"gres_test_{stem.replace('lisat_gres_', 'x')}" for stem in fake.SPLITS["test"]]


def test_text_may_be_a_string(tmp_path):
    fake.make(tmp_path)
    path = tmp_path / f"gres-annotations/val/{fake.SPLITS['val'][0]}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"text": "Where is it?"}))
    (record,) = read(tmp_path, "validation")[0].values()
    assert record.questions == ["Where is it?"]


def points(values):
    return lambda content: content["shapes"][0].__setitem__("points", values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.pop("text"), "no text"),
        (lambda content: content.__setitem__("text", []), "no text"),
        (lambda content: content.pop("shapes"), "broken data"),
        (points([[0, 0], [1e12, 5], [5, 5]]), "broken data"),
        (points([[0, 0, 0]]), "broken data"),
    ],
)
def test_one_broken_annotation_is_left_out_with_a_reason(tmp_path, change, reason):
    fake.make(tmp_path)
    broken, sound = fake.SPLITS["test"]
    path = tmp_path / f"gres-annotations/test/{broken}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    records, (omission,) = read(tmp_path)
    assert list(records) == [f"gres_test_{sound}"]
    assert (omission.sample, omission.reason) == (broken, reason)
    assert path.name in omission.message


def test_missing_files_are_left_out_and_a_picture_may_have_another_name(tmp_path):
    fake.make(tmp_path)
    first, second = fake.SPLITS["test"]
    images, labels = tmp_path / "gres-images/test", tmp_path / "gres-annotations/test"
    (images / f"{first}.jpg").rename(images / "chip.JPG")
    assert [omission.reason for omission in read(tmp_path)[1]] == ["no picture"]
    path = labels / f"{first}.json"
    path.write_text(path.read_text().replace(f"{first}.jpg", "chip.jpg"))
    (labels / f"{second}.json").unlink()
    records, (omission,) = read(tmp_path)
    assert list(records) == [f"gres_test_{first}"]
    assert (omission.sample, omission.reason) == (second, "no annotation")
    path.write_text(path.read_text().replace("chip.jpg", "../train/chip.jpg"))
    assert {omission.reason for omission in read(tmp_path)[1]} == {"no annotation", "name leads outside"}
