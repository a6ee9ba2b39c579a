"""labelme's shapes mark the pixels that labelme itself marks; goldens/make_labelme.py recorded them."""

import base64
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from shapely import make_valid
from shapely.geometry import Polygon

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.formats.runs import from_row_runs
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import decode_rle

from ..conftest import drawings_in, write_picture

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "labelme.json").read_text())
SIZE = tuple(GOLDEN["size"])
SQUARE = [[2, 3], [10, 3], [10, 12], [2, 12]]
REPAIRED = ReadOptions(repair=True)


def document(*shapes, size=(20, 30), **more):
    shapes = [{"label": "pond", "group_id": None, "flags": {}, **shape} for shape in shapes]
    height, width = size
    about = {"version": "6.3.1", "imagePath": "a.png", "imageHeight": height, "imageWidth": width, "imageData": None}
    return {**about, "flags": {}, "shapes": shapes, **more}


def write(folder, *shapes, name="a.json", **more):
    (folder / name).write_text(json.dumps(document(*shapes, **more)))
    return folder / name


def polygon(points, **more):
    return {"shape_type": "polygon", "points": points, **more}


def test_shapes_mark_what_labelme_marks(tmp_path):
    wrong, compared = [], 0
    for number, shape in enumerate(GOLDEN["shapes"]):
        expected = from_row_runs(list(map(int, shape["runs"].split())), *SIZE)
        given = {key: shape[key] for key in ("shape_type", "points", "mask") if key in shape}
        options = REPAIRED if shape["shape_type"] == "polygon" else AS_STATED
        path = write(tmp_path, given, size=SIZE)
        if not expected.any():
            with pytest.raises(DataFormatError, match="marks no pixel"):
                drawings_in(path, SIZE, options)
            continue
        if shape["shape_type"] == "rectangle" and np.ptp(shape["points"], axis=0).min() == 0:  # a line in labelme
            with pytest.raises(DataFormatError, match="has no area|Too few points"):
                drawings_in(path, SIZE, options)
            continue
        (drawing,) = drawings_in(path, SIZE, options)
        compared += 1
        if not np.array_equal(drawing.mask, expected):
            wrong.append(number)
    assert wrong == []
    assert compared > 240


corners = st.tuples(st.floats(-20, 50, width=32), st.floats(-20, 40, width=32))


@given(points=st.lists(corners, min_size=3, max_size=8))
def test_a_shape_that_is_cut_out_of_a_used_canvas_is_the_shape_on_a_new_one(points, tmp_path_factory):
    alone = Image.new("L", (30, 20))
    ImageDraw.Draw(alone).polygon(points, fill=1, outline=1)
    first = polygon([[0, 0], [29, 0], [29, 19], [0, 19]], label="mill")
    second = polygon([list(point) for point in points])
    path = write(tmp_path_factory.mktemp("lm"), first, second)
    options = ReadOptions(repair=True, new_targets=True)
    tasks = {"a": AnnotationTask("a", "a.png", 20, 30)}
    if not np.asarray(alone).any() or make_valid(Polygon(points)).area == 0:
        with pytest.raises(DataFormatError, match="has no area|marks no pixel"):
            read_masks(path, tasks, options)
        return
    drawings = read_masks(path, tasks, options).drawings
    assert np.array_equal(drawings[1].mask, np.asarray(alone, bool))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"shape_type": "rectangle", "points": [[3, 3], [3, 3]]}, "has no area|Too few points"),
        ({"shape_type": "rectangle", "points": [[3, 3], [9, 3]]}, "has no area|Too few points"),
        ({"shape_type": "circle", "points": [[3, 3], [3, 3]]}, "has no area"),
        ({"shape_type": "circle", "points": [[300, 300], [301, 300]]}, "marks no pixel"),
        ({"shape_type": "circle", "points": [[3, 3]]}, "a circle has its centre"),
        ({"shape_type": "rectangle", "points": [[3, 3]] * 3}, "a rectangle has two points"),
        ({"shape_type": "rotation", "points": [[3, 3]] * 3}, "has four points"),
        ({"shape_type": "cuboid", "points": SQUARE}, "of type 'cuboid'"),
        ({"shape_type": "mask", "points": [[3, 3]], "mask": ""}, "two corners"),
        ({"shape_type": "mask", "points": [[3, 3], [4, 4]], "mask": "!"}, "not a base64 PNG"),
    ],
)
@pytest.mark.parametrize("options", [AS_STATED, REPAIRED])
def test_shapes_without_pixels_or_points_are_errors_that_name_them(tmp_path, shape, message, options):
    with pytest.raises(DataFormatError, match=rf"a\.json, shape 1 \('pond'\).*({message})"):
        drawings_in(write(tmp_path, shape), (20, 30), options)


def test_a_mask_of_labelme_without_a_pixel_is_an_error(tmp_path):
    png = base64.b64encode(encode_mask_png(np.zeros((2, 2), bool))).decode()
    with pytest.raises(DataFormatError, match="marks no pixel"):
        drawings_in(write(tmp_path, {"shape_type": "mask", "points": [[3, 3], [4, 4]], "mask": png}), (20, 30))


def test_points_and_lines_are_counted_and_shapes_of_other_labels_never_looked_at(tmp_path):
    broken = polygon("nothing", label="mill")
    lines = [{"shape_type": kind, "points": [[1, 1], [5, 5]]} for kind in ("line", "linestrip", "point", "points")]
    path = write(tmp_path, polygon(SQUARE), broken, *lines)
    reading = read_masks(path, {"a": AnnotationTask("a", "a.png", 20, 30)}, ReadOptions(category="pond"))
    assert reading.skipped == {"line": 1, "linestrip": 1, "point": 1, "points": 1, "shapes of other labels": 1}
    assert reading.drawings[0].mask.sum() == 9 * 10


def test_an_image_with_a_line_only_is_not_one_without_a_target(tmp_path):
    path = write(tmp_path, {"shape_type": "line", "points": [[1, 1], [5, 5]]})
    assert drawings_in(path, (20, 30), ReadOptions(unmarked_is_empty=True)) == []


def test_files_before_labelme_4_state_no_size(tmp_path):
    old = document(polygon(SQUARE))
    del old["imageHeight"], old["imageWidth"], old["flags"]
    del old["shapes"][0]["shape_type"]
    (tmp_path / "a.json").write_text(json.dumps(old))
    assert drawings_in(tmp_path / "a.json", (20, 30))[0].mask.sum() == 9 * 10
    picture = write_picture(tmp_path / "p.png", 40, 60).read_bytes()
    (tmp_path / "a.json").write_text(json.dumps(old | {"imageData": base64.b64encode(picture).decode()}))
    with pytest.raises(DataFormatError, match="drawn on 60 x 40 pixels"):
        drawings_in(tmp_path / "a.json", (20, 30))


def test_x_anylabeling_writes_boxes_with_four_corners_and_turned_ones(tmp_path):
    more = {"score": None, "description": "", "difficult": False, "attributes": {}, "kie_linking": []}
    square = {"shape_type": "rectangle", "points": SQUARE, **more}
    turned = {"shape_type": "rotation", "points": SQUARE, "direction": 0.0, **more}
    for shape in (square, turned):
        (drawing,) = drawings_in(write(tmp_path, shape, version="3.2.1", checked=False), (20, 30))
        assert np.array_equal(np.argwhere(drawing.mask)[[0, -1]], [[3, 2], [12, 10]])


def test_shapes_of_a_group_are_one_instance(tmp_path):
    path = write(
        tmp_path,
        polygon([[1, 1], [3, 1], [3, 3]], group_id=7),
        polygon([[11, 11], [13, 11], [13, 13]], group_id=7),
        polygon([[21, 11], [23, 11], [23, 13]]),
    )
    (drawing,) = drawings_in(path, (20, 30), ReadOptions(instances=True))
    assert [int(decode_rle(target).sum()) for target in drawing.targets] == [12, 6]


def test_files_of_one_name_in_several_folders_go_to_the_images_of_their_folders(tmp_path):
    for split, width in (("train", 5), ("val", 9)):
        (tmp_path / split).mkdir()
        write(tmp_path / split, polygon([[1, 1], [width, 1], [width, 5], [1, 5]]), imagePath="a.png")
    here = AnnotationTask("a", "a.png", 20, 30, origin="val/a.png")
    reading = read_masks(tmp_path, {"a": here}, AS_STATED)
    assert [int(drawing.mask.sum()) for drawing in reading.drawings] == [9 * 5]
    with pytest.raises(DataFormatError, match="a: "):
        read_masks(tmp_path, {"a": AnnotationTask("a", "a.png", 20, 30)}, AS_STATED)


def test_a_flag_says_no_target_only_if_it_is_true(tmp_path):
    assert drawings_in(write(tmp_path, flags={"no target": True}), (20, 30))[0].is_empty
    assert drawings_in(write(tmp_path, flags={"no target": False}), (20, 30)) == []
    with pytest.raises(DataFormatError, match="one of them is wrong"):
        drawings_in(write(tmp_path, polygon(SQUARE), flags={"no target": True}), (20, 30))


def test_a_hundred_polygons_on_a_large_picture_take_little_memory(tmp_path):
    shapes = [polygon([[x, x], [x + 40.5, x + 3.25], [x + 12.75, x + 44]]) for x in range(0, 7900, 79)]
    path = write(tmp_path, *shapes, size=(8000, 8000))
    tracemalloc.start()
    (drawing,) = drawings_in(path, (8000, 8000), ReadOptions(instances=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(drawing.targets) == 100
    assert peak < 8 * 8000 * 8000
