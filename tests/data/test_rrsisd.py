"""RRSIS-D is read as REFER and RMSIN read it, with its images found by what instances.json states."""

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason import load_dataset
from earthreason.data.sources.rrsisd import RRSISD
from earthreason.errors import DataFormatError
from tests.data.reading import mask_pixels

HEIGHT, WIDTH = 20, 30
LEFT, RIGHT = [2, 2, 14, 2, 14, 12, 2, 12], [8, 5, 26, 5, 26, 18, 8, 18]


def picture(height=HEIGHT, width=WIDTH, **options):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(
        buffer, "JPEG", **options
    )
    return buffer.getvalue()


def sentence(text):
    return {"raw": text, "sent": text.lower(), "tokens": [], "sent_id": 1}


def reference(number, **changes):
    own = {"ref_id": number, "ann_id": number, "image_id": number, "category_id": 2, "split": "train"}
    return {**own, "sentences": [sentence(f"Ship {number}")], "file_name": f"{number:05d}.jpg", **changes}


def write(root, references, segmentations, images=None, files=None, **image):
    """Write references, annotations by id, entries of images by id, and image files by path."""
    folder = root / "images" / "rrsisd" / "JPEGImages"
    for path, content in (files or {f"{number:05d}.jpg": picture() for number in segmentations}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (root / "rrsisd").mkdir(exist_ok=True)
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(references, protocol=2))
    size = {"height": HEIGHT, "width": WIDTH, **image}
    named = {number: f"{number:05d}.jpg" for number in segmentations} | (images or {})
    instances = {
        "images": [{"id": number, "file_name": name, **size} for number, name in named.items()],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 2, "segmentation": value, "iscrowd": int(number == 9)}
            for number, value in segmentations.items()
        ],
        "categories": [{"id": 2, "name": "ship"}],
    }
    (root / "rrsisd" / "instances.json").write_text(json.dumps(instances))
    return root


def refers(segmentation, height=HEIGHT, width=WIDTH):
    """Sum the masks of all parts by pycocotools, and take 1, as REFER's getMask and RMSIN's dataset do."""
    parts = segmentation if isinstance(segmentation[0], dict) else coco.frPyObjects(segmentation, height, width)
    return coco.decode(parts).sum(2).astype(np.uint8) == 1


def rle(mask):
    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def boxes():
    left, right = np.zeros((2, HEIGHT, WIDTH), bool)
    left[2:12, 2:14] = True
    right[5:18, 8:26] = True
    return left, right


@pytest.mark.parametrize(
    "segmentation",
    [[LEFT], [LEFT, RIGHT], [LEFT, LEFT], [LEFT, RIGHT, LEFT], [rle(boxes()[0])], [rle(mask) for mask in boxes()]],
    ids=["one", "overlapping", "twice the same", "three", "RLE", "overlapping RLEs"],
)
def test_the_target_is_what_exactly_one_part_covers(tmp_path, segmentation):
    (record,) = RRSISD(write(tmp_path, [reference(1)], {1: segmentation})).read("train")
    assert np.array_equal(mask_pixels(record.mask), refers(segmentation))


@pytest.mark.parametrize("segmentation", [[], [[]], [[3, 4]], [[3, 4, 5, 6]]])
def test_an_annotation_without_a_polygon_is_an_empty_target(tmp_path, segmentation):
    (record,) = RRSISD(write(tmp_path, [reference(1)], {1: segmentation})).read("train")
    assert record.is_empty


def test_every_form_of_one_region_is_the_same_target_and_iscrowd_changes_nothing(tmp_path):
    left, _ = boxes()
    column = left.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], column, [0]]))).tolist()
    runs = np.diff([0, *edges, column.size]).tolist()
    forms = [[LEFT], LEFT, rle(left), {"size": [HEIGHT, WIDTH], "counts": runs}, [{"size": [20, 30], "counts": runs}]]
    root = write(tmp_path, [reference(at) for at in range(5, 10)], dict(enumerate(forms, start=5)))
    for record in RRSISD(root).read("train"):
        assert np.array_equal(mask_pixels(record.mask), left)


def test_polygons_are_scaled_to_a_larger_file_and_rles_resized(tmp_path):
    left, right = boxes()
    files = {f"{number:05d}.jpg": picture(2 * HEIGHT, 3 * WIDTH) for number in (1, 2, 3)}
    scaled = [[value * (3 if at % 2 == 0 else 2) for at, value in enumerate(part)] for part in (LEFT, RIGHT)]
    large = np.repeat(np.repeat(left, 2, 0), 3, 1)
    root = write(
        tmp_path,
        [reference(number) for number in (1, 2, 3)],
        {1: [LEFT, RIGHT], 2: [rle(left), rle(right)], 3: [rle(large)]},
        files=files,
    )
    records = list(RRSISD(root).read("train"))
    assert np.array_equal(mask_pixels(records[0].mask), refers(scaled, 2 * HEIGHT, 3 * WIDTH))
    assert np.array_equal(mask_pixels(records[1].mask), np.repeat(np.repeat(left ^ right, 2, 0), 3, 1))
    assert np.array_equal(mask_pixels(records[2].mask), large)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_masks_belong_to_the_stored_pixels_whatever_the_exif_tag_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = write(tmp_path / "set", [reference(1)], {1: [LEFT]}, files={"00001.jpg": picture(exif=exif)})
    (row,) = load_dataset("earthreason", "rrsis-d", data_dir=root, split="train")
    assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(picture()))))
    assert np.array_equal(np.asarray(row["mask"]) > 0, refers([LEFT]))


def test_a_file_that_has_the_stated_size_only_when_turned_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"00001.jpg": picture(WIDTH, HEIGHT, exif=exif)}
    (record,) = RRSISD(write(tmp_path, [reference(1)], {1: [LEFT]}, files=files)).read("train")
    stored = np.asarray(Image.open(io.BytesIO(files["00001.jpg"])))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(record.image))), np.rot90(stored, -1))
    assert np.array_equal(mask_pixels(record.mask), refers([LEFT]))


@pytest.mark.parametrize("stated", [{"height": 0}, {"width": -3}, {"height": "tall"}])
def test_a_size_that_no_picture_has_is_refused(tmp_path, stated):
    source = RRSISD(write(tmp_path, [reference(1)], {1: [LEFT]}, **stated))
    with pytest.raises(DataFormatError, match="reference 1: not as in REFER"):
        list(source.read("train"))


def test_files_are_found_by_their_full_path_in_any_case_and_suffix(tmp_path):
    names = {1: "a/00001.jpg", 2: "b/00001.jpg", 3: "00003.jpg", 4: "00004.JPG", 5: "c\\00005.jpg", 6: "00006.jpg"}
    stored = ["a/00001.jpg", "b/00001.jpg", "00003.jpeg", "00004.jpg", "c/00005.JPG", "00006.jpg", "00006.png"]
    stored.append("../../../elsewhere/00006.jpg")
    files = {name: picture(HEIGHT + at, WIDTH) for at, name in enumerate(stored)}
    root = write(tmp_path, [reference(number) for number in names], {key: [LEFT] for key in names}, names, files)
    records = list(RRSISD(root).read("train"))
    assert [record.height - HEIGHT for record in records] == [0, 1, 2, 3, 4, 5]
    assert [record.sample_id for record in records] == [f"rrsisd_{number}" for number in names]


def test_a_name_that_several_files_may_be_is_refused_and_lists_them(tmp_path):
    files = {"a/00001.jpg": picture(), "b/00001.jpg": picture()}
    source = RRSISD(write(tmp_path, [reference(1)], {1: [LEFT]}, files=files))
    with pytest.raises(DataFormatError, match=r"reference 1: several files may be '00001.jpg' \(.*a/.*b/.*remove"):
        list(source.read("train"))


def test_repeated_reference_ids_give_unique_sample_ids(tmp_path):
    references = [reference(1), reference(2), reference(1, sentences=[sentence("Boat")]), reference(1, split="test")]
    source = RRSISD(write(tmp_path, references, {1: [LEFT], 2: [RIGHT]}))
    found = [(record.sample_id, record.questions) for split in source.counts for record in source.read(split)]
    assert found == [
        ("rrsisd_1", ["Ship 1"]),
        ("rrsisd_2", ["Ship 2"]),
        ("rrsisd_1_2", ["Boat"]),
        ("rrsisd_1_3", ["Ship 1"]),
    ]


def test_numbers_of_numpy_in_the_pickle_are_read(tmp_path):
    own = {key: np.int64(1) for key in ("ref_id", "ann_id", "image_id")} | {"category_id": np.int32(2)}
    root = write(tmp_path, [reference(1, **own, split=np.str_("train"), sent_ids=[np.int64(4)])], {1: [LEFT]})
    (record,) = RRSISD(root).read("train")
    assert (record.sample_id, record.category) == ("rrsisd_1", "ship")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": 8}, "image 8 is missing in instances.json"),
        ({"ann_id": None}, "annotation None is missing in instances.json"),
        ({"image_id": [1]}, "not as in REFER"),
        ({"split": "testA"}, "its split is 'testA', not train, val, test"),
        ({"split": None}, "its split is None"),
        ({"sentences": ["text"]}, "not as in REFER"),
        ({"sentences": []}, "it has no sentence"),
        ({"sentences": [{}]}, "'sent' is missing"),
        ({"image_id": 2, "ann_id": 2}, "not polygons and not an RLE"),
        ({"image_id": 3, "ann_id": 3}, r"00003\.jpg: not a readable image"),
        ({"image_id": 4, "ann_id": 4}, "there is no image '00004.jpg'"),
    ],
)
def test_a_broken_reference_is_named_and_spoils_no_other(tmp_path, changes, words):
    references = [reference(1), reference(7, **{"image_id": 1, "ann_id": 1, **changes}), "nonsense", reference(1)]
    files = {"00001.jpg": picture(), "00002.jpg": picture(), "00003.jpg": b"no picture"}
    segmentations = {1: [LEFT], 2: "nonsense", 3: [LEFT], 4: [LEFT]}
    source = RRSISD(write(tmp_path, references, segmentations, files=files))
    readers = dict(source.samples("train"))
    assert list(readers) == ["reference 1", "reference 7", "reference #2", "reference 1_2"]
    with pytest.raises(DataFormatError, match=rf"refs\(unc\)\.p: reference 7: .*{words}"):
        readers["reference 7"]()
    with pytest.raises(DataFormatError, match="reference #2: not as in REFER"):
        readers["reference #2"]()
    assert [readers[name]().sample_id for name in ("reference 1", "reference 1_2")] == ["rrsisd_1", "rrsisd_1_2"]


@pytest.mark.parametrize("instances", ["[]", "{}", '{"images": 3, "annotations": []}'])
def test_an_index_that_cannot_be_read_is_refused_at_once(tmp_path, instances):
    root = write(tmp_path, [reference(1)], {1: [LEFT]})
    (root / "rrsisd" / "instances.json").write_text(instances)
    with pytest.raises(DataFormatError, match=r"instances\.json"):
        RRSISD(root)
    (root / "rrsisd" / "instances.json").write_text('{"images": [{"no": 1}], "annotations": [3]}')
    with pytest.raises(DataFormatError, match="image 1 is missing"):
        list(RRSISD(root).read("train"))


@pytest.mark.parametrize("value", [1e300, float("nan"), -1e12, 10**400])
def test_coordinates_that_would_fill_the_memory_are_refused(tmp_path, value):
    source = RRSISD(write(tmp_path, [reference(1)], {1: [[*LEFT, value, 3]]}))
    with pytest.raises(DataFormatError, match="reference 1: not polygons"):
        list(source.read("train"))
