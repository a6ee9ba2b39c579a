"""Files of VGG Image Annotator: which attribute is the label, and faults. The corpus holds their masks."""

import json

import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

SIZE = (20, 30)
RECT = {"name": "rect", "x": 3, "y": 4, "width": 6, "height": 5}


def read(folder, regions, options=AS_STATED, name="a.png"):
    listed = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
    document = {f"{name}12": {"filename": name, "size": 12, "regions": listed, "file_attributes": {}}}
    (folder / "via.json").write_text(json.dumps(document))
    return read_masks(folder / "via.json", {"a": AnnotationTask("a", "a.png", *SIZE)}, options)


def test_of_several_attributes_without_a_usual_name_one_must_be_chosen(tmp_path):
    regions = [(RECT, {"use": "mill", "state": "old"})]
    with pytest.raises(DataFormatError, match=r"several attributes \('use', 'state'\).*--label-field"):
        read(tmp_path, regions)
    (drawing,) = read(tmp_path, regions, ReadOptions(label_field="use")).drawings
    assert drawing.category == "mill"


def test_regions_without_attributes_have_no_label(tmp_path):
    (drawing,) = read(tmp_path, [(RECT, {})], ReadOptions(unnamed="pond")).drawings
    assert drawing.category == "pond"


def test_two_ticked_labels_of_a_region_are_an_error(tmp_path):
    with pytest.raises(DataFormatError, match=r"region 1: has several labels \(pond, mill\)"):
        read(tmp_path, [(RECT, {"class": {"pond": True, "mill": True}})])


def test_an_image_without_regions_is_no_target_only_if_somebody_says_so(tmp_path):
    assert read(tmp_path, []).drawings == []
    (drawing,) = read(tmp_path, [], ReadOptions(unmarked_is_empty=True)).drawings
    assert drawing.is_empty


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"name": "rect", "x": 3, "y": 4, "width": 6}, "not a rect"),
        ({"name": "rect", "x": "x", "y": 4, "width": 6, "height": 5}, "not a rect"),
        ({"name": "rect", "x": 3, "y": 4, "width": 60, "height": 5}, "outside the image of 30 x 20"),
        ({"name": "circle", "cx": 3, "cy": 4, "r": 0}, "must be greater than 0"),
        ({"name": "circle", "cx": 3, "cy": 4, "r": float("nan")}, "not a finite number"),
        ({"name": "circle", "cx": 300, "cy": 4, "r": 9}, "its centre"),
        ({"name": "ellipse", "cx": 3, "cy": 4, "rx": 9, "ry": 2, "theta": float("inf")}, "theta is inf"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "at least three points"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "not a polygon"),
        ({"name": "star"}, "unknown kind 'star'"),
    ],
)
def test_faults_name_image_and_region_in_one_line(tmp_path, shape, message):
    with pytest.raises(DataFormatError, match=message) as caught:
        read(tmp_path, [(shape, {"class": "pond"})])
    assert "via.json, image 'a.png', region 1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_via_3_with_two_pictures_in_a_view_is_refused(tmp_path):
    document = {
        "file": {"1": {"fname": "a.png"}, "2": {"fname": "b.png"}},
        "view": {"1": {"fid_list": ["1", "2"]}},
        "metadata": {},
    }
    (tmp_path / "via.json").write_text(json.dumps(document))
    with pytest.raises(DataFormatError, match="view '1': shows 2 files"):
        read_masks(tmp_path / "via.json", {})


def test_a_broken_line_of_a_table_is_named(tmp_path):
    head = "filename,region_shape_attributes,region_attributes"
    (tmp_path / "via.csv").write_text(f'{head}\na.png,"{{}}","{{}}"\na.png,"{{","{{}}"\n')
    with pytest.raises(DataFormatError, match=r"via\.csv, line 3: not a line"):
        read_masks(tmp_path / "via.csv", {})
