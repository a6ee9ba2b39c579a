"""GeoPixelD: one mask for each `[SEG]` of a caption, as GeoPixel's reader draws it with OpenCV."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from earthreason.data.sources.geopixel import QUESTION, GeoPixelD
from tests.data.fakes import geopixel as fake

TRAIN, TEST = fake.CAPTIONS
FILE = f"{TEST}.json"
UNEQUAL = "another number of masks than of [SEG]"


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path)
    return tmp_path


def read(folder, split="test"):
    source = GeoPixelD(folder)
    source.tolerance = None
    return list(source.read(split)), list(source.omissions)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content))) > 0


def test_targets_and_phrases_are_in_the_order_of_the_caption(folder):
    (record,), left_out = read(folder)
    expected = fake.expected(TEST)
    assert record.sample_id == "geopixel_test_P0003_0_800_347_1147"
    assert np.array_equal([pixels(target) for target in record.targets], expected)
    assert np.array_equal(pixels(record.mask), np.any(expected, axis=0))
    assert json.loads(record.extra)["phrases"] == fake.CAPTIONS[TEST][2]
    assert record.answers == [fake.CAPTIONS[TEST][0]]
    assert not left_out  # pictures without annotation are no samples


def test_one_mask_is_no_list_and_the_question_is_that_of_the_dialogue(folder):
    (record,), _ = read(folder, "train")
    assert record.targets is None
    assert np.array_equal(pixels(record.mask), fake.expected(TRAIN)[0])
    assert record.questions == [fake.ASKED]
    assert read(folder)[0][0].questions == [QUESTION]


def test_the_set_opens_without_its_dialogues(folder):
    (folder / "GeoPixelD.json").unlink()
    assert read(folder, "train")[0][0].questions == [QUESTION]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content["polygons"].pop(), UNEQUAL),
        (
            lambda content: content.__setitem__("gcg_description", "Nothing here."),
            UNEQUAL,
        ),
        (lambda content: content.pop("gcg_description"), "no gcg_description"),
        (lambda content: content.pop("polygons"), "broken data"),
        (lambda content: content["polygons"][0].__setitem__(0, [[1, 2, 3]]), "broken polygon"),
        (lambda content: content["polygons"][0].__setitem__(0, [[1, 2], [3]]), "broken polygon"),
        (lambda content: content["polygons"][0].__setitem__(0, [[1, 2], [1e12, 3]]), "broken polygon"),
    ],
)
def test_a_broken_annotation_is_left_out_with_a_reason(folder, change, reason):
    content = json.loads((folder / FILE).read_text())
    sound = folder / "test" / "P0004_0_800_0_800.json"
    sound.write_text(json.dumps(content))
    Image.new("RGB", (fake.SIDE, fake.SIDE)).save(sound.with_suffix(".PNG"))
    change(content)
    (folder / FILE).write_text(json.dumps(content))
    records, (omission,) = read(folder)
    assert [record.sample_id for record in records] == ["geopixel_test_P0004_0_800_0_800"]
    assert omission.reason == reason
    assert (folder / FILE).name in omission.message


def test_an_annotation_without_its_picture_and_a_file_that_is_no_json_are_left_out(folder):
    (folder / "test" / "P0001_0_800_0_800.json").write_text((folder / FILE).read_text())
    (folder / "test" / "P0002_0_800_0_800.json").write_text("{")
    records, left_out = read(folder)
    assert len(records) == 1
    assert {omission.sample: omission.reason for omission in left_out} == {
        "P0001_0_800_0_800": "no picture",
        "P0002_0_800_0_800": "broken data",
    }


def test_an_empty_group_of_polygons_is_an_empty_target_of_its_phrase(folder):
    content = json.loads((folder / FILE).read_text())
    content["polygons"][1] = [[]]
    (folder / FILE).write_text(json.dumps(content))
    (record,), _ = read(folder)
    assert [pixels(target).any() for target in record.targets] == [True, False, True]
