"""COCO files of tools: emptiness, crowds, boxes, results, panoptic PNGs, and files far larger than the workspace."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as reference

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.rle import decode_rle, encode_mask

from ..conftest import box, drawings_in

SIZE = (20, 30)
RING = [2.3, 2.7, 25.1, 4.4, 18.6, 17.9, 5.2, 14.1]
CATEGORIES = [{"id": 1, "name": "pond"}, {"id": 2, "name": "mill"}]
SQUARE = box(SIZE, 3, 2, 12, 10)
OTHER = box(SIZE, 14, 20, 18, 25)


def image(number=1, name="a.png", **more):
    return {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1], **more}


def annotation(segmentation, category=1, number=7, image_id=1, **more):
    return {"id": number, "image_id": image_id, "category_id": category, "segmentation": segmentation, **more}


def write(folder, annotations, images=None, name="c.json", **more):
    table = {"images": images or [image()], "annotations": annotations, "categories": CATEGORIES, **more}
    (folder / name).write_text(json.dumps(table))
    return folder / name


def read(path, options=AS_STATED, names=("a",)):
    return read_masks(path, {name: AnnotationTask(name, f"{name}.png", *SIZE) for name in names}, options)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "annotation 7: it has a box but no mask"),
        ([[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]], "annotation 7: marks no pixel"),
        (encode_mask(np.zeros(SIZE, bool)), "annotation 7: marks no pixel"),
        ({"size": [20, 30], "counts": [600]}, "annotation 7: marks no pixel"),
        ([[3, 3, 9, 3]], "annotation 7: a polygon needs at least three points"),
        ([[3, 3, 9, 3, 9]], "annotation 7: a polygon must be a list of x and y in turn"),
        ([[3, 3, 9, 3, float("nan"), 4]], "annotation 7: a coordinate is not a finite number"),
        ([[3, 3, 9, 3, 10**400, 4]], "annotation 7: the points are not pairs of numbers"),
        ([[3, 3, True, 3, 9, 4]], "annotation 7: the points are not pairs of numbers"),
        ([["3", 3, 4, 3, 9, 4]], "annotation 7: the points are not pairs of numbers"),
        ("ring", "annotation 7: .* in turn"),
        ({"counts": "abc"}, "annotation 7: not an RLE with 'size' and 'counts'"),
        ({"size": [20, 30], "counts": "~~~"}, "annotation 7: "),
        ({"size": [20, 31], "counts": [620]}, "annotation 7: the RLE is of 31 x 20 pixels"),
        ({"size": [20, 30], "counts": [599]}, "annotation 7: the runs of the RLE do not fill"),
        ({"size": [20, 30], "counts": [601, -1]}, "annotation 7: the runs of the RLE do not fill"),
        ({"size": [20, 30], "counts": [10.5, 589.5]}, "annotation 7: the runs of the RLE do not fill"),
    ],
)
def test_annotations_without_pixels_are_errors_that_name_image_and_annotation(tmp_path, segmentation, message):
    path = write(tmp_path, [annotation(segmentation, bbox=[1, 1, 5, 5])])
    for options in (AS_STATED, ReadOptions(unmarked_is_empty=True)):
        with pytest.raises(DataFormatError, match=rf"c\.json, image 'a\.png', {message}"):
            read(path, options)
    beside = write(tmp_path, [annotation(segmentation, bbox=[1, 1, 5, 5]), annotation([RING], 2)])
    assert read(beside, ReadOptions(category="mill")).skipped == {"shapes of other labels": 1}


def test_boxes_keypoints_and_captions_are_counted(tmp_path):
    bare = {"id": 1, "image_id": 1, "category_id": 1}
    others = [
        bare | {"bbox": [1, 1, 5, 5]},
        bare | {"keypoints": [1, 1, 2], "segmentation": []},
        bare | {"caption": "x"},
    ]
    reading = read(write(tmp_path, [*others, annotation([RING])]))
    assert reading.skipped == {"boxes without a mask": 1, "keypoints": 1, "captions": 1}
    assert len(reading.drawings) == 1
    assert read(write(tmp_path, others), ReadOptions(unmarked_is_empty=True)).drawings == []


def test_crowds_and_lists_of_rles_are_masks(tmp_path):
    # Datumaro 1.13.12, and so CVAT, exports Mask(SQUARE) as this crowd region.
    counts = [43, 9, 11, 9, 11, 9, 11, 9, 11, 9, 11, 9, 11, 9, 11, 9, 408]
    (drawing,) = read(write(tmp_path, [annotation({"counts": counts, "size": [20, 30]}, iscrowd=1)])).drawings
    assert np.array_equal(drawing.mask, SQUARE)
    (drawing,) = read(write(tmp_path, [annotation([encode_mask(SQUARE), encode_mask(OTHER)])])).drawings
    assert np.array_equal(drawing.mask, SQUARE | OTHER)


def test_instances_keep_what_pycocotools_fills_for_each(tmp_path):
    rings = [RING, [20.5, 1.5, 28.2, 1.1, 27.9, 6.6], [0, 0, 30, 0, 30, 20, 0, 20]]
    path = write(tmp_path, [annotation([ring], number=number) for number, ring in enumerate(rings)])
    (drawing,) = read(path, ReadOptions(instances=True)).drawings
    expected = [reference.decode(reference.frPyObjects([ring], *SIZE))[..., 0] for ring in rings]
    assert [decode_rle(target).tolist() for target in drawing.targets] == [
        mask.astype(bool).tolist() for mask in expected
    ]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([image(), image(1, "b.png")], r"images 'a\.png' and 'b\.png' have the same id 1"),
        ([image(), image(2, "a.png")], r"images 1 and 2 have the same file name 'a\.png'"),
        ([image(1, None)], "an image needs 'id' and 'file_name'"),
        ([image(True)], "an image needs 'id' and 'file_name'"),
        ([3], "'images' must be objects, but number 1 is int"),
        ([image(), image(2, "sub/a.png")], r"several images of the file fit it \(a\.png, sub/a\.png\)"),
    ],
)
def test_images_that_cannot_be_told_apart_are_errors(tmp_path, images, message):
    with pytest.raises(DataFormatError, match=message):
        read(write(tmp_path, [annotation([RING])], images))


def test_roboflow_records_the_name_before_its_own(tmp_path):
    coded = [image(1, "x_png.rf.0a1b.jpg", extra={"name": "a.png"}), image(2, "b_png.rf.9f.jpg")]
    for split, at in (("train", 0), ("valid", 1)):
        (tmp_path / split).mkdir()
        write(tmp_path / split, [annotation([RING], image_id=at + 1)], [coded[at]], name="_annotations.coco.json")
    assert [drawing.task for drawing in read(tmp_path, names=("a", "b")).drawings] == ["a", "b"]


def test_augmented_copies_of_one_image_are_an_error(tmp_path):
    copies = [image(1, "a_png.rf.0a1b.jpg"), image(2, "a_png.rf.9f.jpg")]
    with pytest.raises(DataFormatError, match="a: several images of the file fit it"):
        read(write(tmp_path, [annotation([RING])], copies))


def test_two_categories_of_one_number_are_an_error(tmp_path):
    with pytest.raises(DataFormatError, match="categories 'pond' and 'mill' have the same id 1"):
        read(write(tmp_path, [], categories=[{"id": 1, "name": "pond"}, {"id": 1, "name": "mill"}]))


def result(image_id, mask=SQUARE, **more):
    return {"image_id": image_id, "category_id": 1, "segmentation": encode_mask(mask), "score": 0.9, **more}


def test_results_find_their_images_by_number_name_or_the_file_beside_them(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([result("a"), result(42, OTHER), result(5, score=0.2)]))
    reading = read(tmp_path / "r.json", names=("a", "000000000042", "5"))
    assert {d.task: d.mask.sum() for d in reading.drawings} == {"a": SQUARE.sum(), "000000000042": OTHER.sum()}
    assert reading.skipped == {"results with a score below 0.5": 1}
    assert reading.drawings[0].category == "category 1"
    write(tmp_path, [], [image(42, "b.png")])
    (drawing,) = read(tmp_path / "r.json", names=("b", "c")).drawings
    assert (drawing.task, drawing.category) == ("b", "pond")
    write(tmp_path, [], [image(42, "c.png")], name="d.json")
    with pytest.raises(DataFormatError, match=r"c\.json and d\.json beside it both list images"):
        read(tmp_path / "r.json", names=("b", "c"))


def test_results_of_boxes_are_counted_and_those_without_pixels_refused(tmp_path):
    boxes = {"image_id": "a", "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.9}
    (tmp_path / "r.json").write_text(json.dumps([boxes, result("a")]))
    assert read(tmp_path / "r.json").skipped == {"boxes without a mask": 1}
    (tmp_path / "r.json").write_text(json.dumps([result("a", np.zeros(SIZE, bool))]))
    with pytest.raises(DataFormatError, match="image 'a', result 1: marks no pixel"):
        read(tmp_path / "r.json")
    (tmp_path / "r.json").write_text(json.dumps([result("a", score="high")]))
    with pytest.raises(DataFormatError, match="result 1: the score must be a number"):
        read(tmp_path / "r.json")


# The IDs by hand: 3 + 256 * 2 + 65536 * 1 = 66051 and 255 + 256 * 255 = 65535.
FIRST, SECOND = ((3, 2, 1), 66051), ((255, 255, 0), 65535)


def panoptic(folder, segments, colours=(FIRST[0], SECOND[0]), size=SIZE, place="p"):
    pixels = np.zeros((*size, 3), np.uint8)
    for colour, mask in zip(colours, (SQUARE, OTHER), strict=True):
        pixels[: SIZE[0], : SIZE[1]][mask] = colour
    (folder / place).mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / place / "a.png")
    return write(folder, [{"image_id": 1, "file_name": "a.png", "segments_info": segments}], name="p.json")


def segment(number, category=1, **more):
    return {"id": number, "category_id": category, "iscrowd": 0, **more}


@pytest.mark.parametrize("place", ["p", "."])
def test_panoptic_segments_are_the_pixels_of_their_colour(tmp_path, place):
    path = panoptic(tmp_path, [segment(FIRST[1]), segment(SECOND[1], 2)], place=place)
    assert np.array_equal(read(path, ReadOptions(category="pond")).drawings[0].mask, SQUARE)
    assert np.array_equal(read(path, ReadOptions(category="mill")).drawings[0].mask, OTHER)
    with pytest.raises(DataFormatError, match=r"several categories \(mill, pond\)"):
        read(path)


def test_panoptic_files_with_faults_are_named(tmp_path):
    with pytest.raises(DataFormatError, match="segment 9: marks no pixel"):
        read(panoptic(tmp_path, [segment(9)]))
    with pytest.raises(DataFormatError, match="segment x: the id must be a whole number"):
        read(panoptic(tmp_path, [segment("x")]))
    with pytest.raises(DataFormatError, match="its PNG is 31 x 21 pixels, not 30 x 20"):
        read(panoptic(tmp_path, [segment(FIRST[1])], size=(21, 31)))
    path = panoptic(tmp_path, [segment(FIRST[1])])
    (tmp_path / "p" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataFormatError, match=r"p/a\.png: not a readable PNG"):
        read(path)
    (tmp_path / "p" / "a.png").unlink()
    with pytest.raises(DataFormatError, match=r"there is no PNG 'a\.png' in .*put the PNGs there"):
        read(path)


def test_a_file_far_larger_than_the_workspace_is_read_only_where_it_matters(tmp_path):
    broken = {"id": 1, "category_id": 1, "segmentation": [["x"]]}
    images = [image(number, f"{number}.png", height=0) for number in range(5000)]
    annotations = [broken | {"image_id": number % 5000} for number in range(10, 100_000) if number % 5000 > 9]
    for number in range(10):
        images[number] = image(number, f"{number}.png")
        annotations.append(annotation([RING], image_id=number))
    path = write(tmp_path, annotations, images)
    names = tuple(map(str, range(10)))
    reading = read(path, names=names)
    assert len(reading.drawings) == 10
    assert len(reading.strangers) == 4990


def test_a_large_mask_is_decoded_only_where_it_is(tmp_path):
    large = (6000, 5000)
    mask = box(large, 5990, 4990, 6000, 5000)
    path = write(tmp_path, [annotation(encode_mask(mask))], [image() | {"height": large[0], "width": large[1]}])
    (drawing,) = drawings_in(path, large, ReadOptions(instances=True))
    assert drawing.targets == [encode_mask(mask)]


def test_annotations_of_images_that_are_not_listed_are_an_error(tmp_path):
    with pytest.raises(EarthReasonError, match="annotations of image_id 8, which is not listed"):
        read(write(tmp_path, [annotation([RING], image_id=8)]))
