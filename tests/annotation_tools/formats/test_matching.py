"""Shapes go to the image they were drawn on, by whatever name their tool knows it."""

import base64
import unicodedata

import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.matching import Images, plain_path
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError


def images(*names, **origins):
    tasks = [AnnotationTask(name, f"{name}.png", 20, 30) for name in names]
    tasks += [AnnotationTask(name, f"{name}.png", 20, 30, origin=origin) for name, origin in origins.items()]
    return Images(tasks)


def found(known, *names):
    match = known.find(names, "here")
    return match and match[0]


BUCKET = base64.b64encode(b"s3://bucket/scenes/a.png").decode()


@pytest.mark.parametrize(
    "name",
    [
        "a.png",
        "a",
        "a.PNG",
        "a.tif",
        "./images/a.png",
        "C:\\data\\images\\a.png",
        "..\\images\\a.png",
        "s3://bucket/folder/a.png",
        "gs://bucket/a.png",
        "https://example.org/x/a.png?width=3#top",
        "file:///home/anna/a.png",
        "/data/local-files/?d=scenes/a.png",
        "http://localhost:8080/data/local-files/?d=scenes%2Fa.png",
        "/data/upload/3/1a2b3c4d-a.png",
        "1a2b3c4d-a.png",
        "images\\1a2b3c4d-a.png",
        f"/tasks/7/resolve/?fileuri={BUCKET}",
        "a_png.rf.1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f.jpg",
        "train/a_JPG.rf.Xy12.jpg",
    ],
)
def test_an_image_is_found_by_every_form_of_its_name(name):
    assert found(images("a", "b"), name) == "a"


@pytest.mark.parametrize("name", ["", "  ", "c.png", "aa.png", "xa.png", "1a2b3c4-a.png", "data:image/png;base64,YQ=="])
def test_another_name_is_no_image_of_the_workspace(name):
    assert found(images("a", "b"), name) is None


@pytest.mark.parametrize(
    ("image", "name"),
    [
        # Django 5.2: get_valid_filename("Lake (north), 1.5 m.png") and the prefix of label_studio.data_import
        ("Lake (north), 1.5 m", "/data/upload/1/0123abcd-Lake_north_1.5_m.png"),
        ("Lake (north)", "Lake-north-_jpg.rf.0a1b2c.jpg"),
        ("a b", "https://example.org/a%20b.png"),
        ("a b", "a%20b.png"),
        ("100%", "100%.png"),
        ("a%20b", "a%20b.png"),
        ("tile_1.5", "tile_1.5"),
        ("tile_1.5", "tile_1.5.jpg"),
        ("deadbeef-a", "deadbeef-a.png"),
        ("a_jpg.rf.12ab", "a_jpg.rf.12ab.jpg"),
        ("x#1", "s3://bucket/x#1.png"),
    ],
)
def test_signs_that_tools_change_or_that_look_like_theirs(image, name):
    assert found(images("a", "b", "tile_1", image), name) == image


def test_unicode_may_be_composed_or_not():
    composed, apart = unicodedata.normalize("NFC", "fjörd"), unicodedata.normalize("NFD", "fjörd")
    assert composed != apart
    for there, stated in ((composed, apart), (apart, composed)):
        for name in (f"{stated}.png", f"x/{stated}.PNG", f"/data/upload/1/1a2b3c4d-{stated}.png"):
            assert found(images(there), name) == there


def test_a_path_decides_before_a_file_name():
    known = images(tile="north/tile.png", other="south/other.png")
    assert known.find(["north/tile.png"], "here") == ("tile", True)
    assert known.find(["data/north/tile.png"], "here") == ("tile", True)
    assert known.find(["south/tile.png"], "here") == ("tile", False)
    assert known.find(["tile.png", "x/south/other.png"], "here") == ("other", True)


def test_what_is_stated_decides_before_what_a_tool_recorded():
    known = images("1a2b3c4d-a", "a", "b")
    assert found(known, "1a2b3c4d-a.png") == "1a2b3c4d-a"
    assert found(known, "x_png.rf.12.jpg", "b.png") == "b"
    assert found(known, "1a2b3c4e-a.png", "b.png") == "b"


@pytest.mark.parametrize(
    ("names", "stated"),
    [
        (("a b", "a_b"), "1a2b3c4d-a_b.png"),
        (("a-b", "a b"), "a-b_png.rf.12.jpg"),
        ((unicodedata.normalize("NFC", "ö"), unicodedata.normalize("NFD", "ö")), "ö.png"),
    ],
)
def test_a_name_of_several_images_is_an_error_that_names_them(names, stated):
    with pytest.raises(DataFormatError, match=r"fits several images \(.*, .*\)") as caught:
        found(images(*names), stated)
    assert all(name in str(caught.value) for name in names)
    assert stated in str(caught.value)


def test_a_link_that_is_no_base64_is_no_name():
    assert plain_path("/tasks/7/resolve/?fileuri=%21%21") == "tasks/7/resolve"
