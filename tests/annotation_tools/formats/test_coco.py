"""COCO polygons mark what pycocotools fills, repaired or not."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as reference

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.polygons import fill_polygon
from earthreason.errors import DataFormatError

from ..conftest import drawings_in

HEIGHT, WIDTH = 20, 30
TILTED = [2.3, 2.7, 25.1, 4.4, 18.6, 17.9, 5.2, 14.1]
BOW = [4.0, 3.0, 20.0, 15.0, 20.0, 3.0, 4.0, 15.0]
OUTSIDE = [-10.0, 3.0, 50.0, 3.0, 50.0, 9.0, -10.0, 9.0]
REPAIRED = ReadOptions(repair=True)


def read(folder, rings, options):
    (folder / "c.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
                "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "segmentation": rings}],
                "categories": [{"id": 1, "name": "pond"}],
            }
        )
    )
    (drawing,) = drawings_in(folder / "c.json", (HEIGHT, WIDTH), options)
    return drawing.mask


def pycocotools_mask(rings):
    runs = reference.frPyObjects(rings, HEIGHT, WIDTH)
    return reference.decode(reference.merge(runs)).astype(bool)


corners = st.tuples(st.floats(-20, 50, width=16), st.floats(-20, 40, width=16))
polygons = st.lists(corners, min_size=3, max_size=7).map(lambda points: [value for point in points for value in point])


@given(rings=st.lists(polygons, min_size=1, max_size=3))
def test_repaired_polygons_are_what_pycocotools_fills(rings, tmp_path_factory):
    expected = pycocotools_mask(rings)
    if not expected.any():
        with pytest.raises(DataFormatError, match="annotation 7: marks no pixel"):
            read(tmp_path_factory.mktemp("coco"), rings, REPAIRED)
    else:
        assert np.array_equal(read(tmp_path_factory.mktemp("coco"), rings, REPAIRED), expected)


def test_repairing_leaves_a_polygon_without_fault_as_it_is(tmp_path):
    as_stated = read(tmp_path, [TILTED], AS_STATED)
    assert np.array_equal(as_stated, pycocotools_mask([TILTED]))
    assert np.array_equal(read(tmp_path, [TILTED], REPAIRED), as_stated)
    centres = fill_polygon(np.reshape(TILTED, (-1, 2)).tolist(), HEIGHT, WIDTH, "here")
    assert 0 < (as_stated ^ centres).sum() < 40  # labelme's rule differs, at the outline only


def test_crossing_lines_are_even_odd_and_what_lies_outside_is_cut(tmp_path):
    bow = read(tmp_path, [BOW], REPAIRED)
    assert bow[9, 6]
    assert bow[9, 18]
    assert not bow[4, 12]
    band = read(tmp_path, [OUTSIDE], REPAIRED)
    assert band[3:9].all()
    assert band.sum() == 6 * WIDTH


@pytest.mark.parametrize("ring", [BOW, OUTSIDE])
def test_without_repair_they_are_refused(tmp_path, ring):
    with pytest.raises(DataFormatError, match="annotation 7.*--repair"):
        read(tmp_path, [ring], AS_STATED)
