"""Pictures, GeoTIFFs and releases that are imported into a workspace."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation_tools.drawing import draw
from annotation_tools.imports import ImportOptions
from annotation_tools.workspace import Server, Workspace
from earthreason.errors import DataFormatError, EarthReasonError

from .conftest import box, drawn, import_images, write_geotiff, write_picture

SIZE = (20, 30)
GOLDENS = Path(__file__).parent / "goldens/pictures"


def test_pictures_become_tasks_with_their_bytes(workspace, tmp_path):
    assert list(workspace.tasks) == ["a", "b", "c", "d"]
    assert workspace.picture("a").read_bytes() == (tmp_path / "pictures" / "a.png").read_bytes()
    assert workspace.tasks["a"].ground_resolution is None


def test_a_geotiff_tells_its_gsd_and_is_stretched(tmp_path):
    write_geotiff(tmp_path / "in" / "scene.tif", metres=0.5)
    import_images(tmp_path / "work", str(tmp_path / "in"))
    task = Workspace.open(tmp_path / "work").tasks["scene"]
    assert task.ground_resolution == pytest.approx(0.5 / 0.9996)  # the scale of UTM at its middle
    pixels = np.asarray(Image.open(tmp_path / "work" / "images" / task.picture))
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_pictures_of_other_formats_and_suffixes_in_capitals_are_found(tmp_path):
    for name in ("exact.jp2", "exact.webp", "plain.bmp", "palette.tif"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(GOLDENS / name, tmp_path / "in" / f"{name.replace('.', '-')}{Path(name).suffix.upper()}")
    assert import_images(tmp_path / "work", str(tmp_path / "in")).images == 4
    assert import_images(tmp_path / "one", str(tmp_path / "in" / "exact-jp2.JP2")).images == 1


@pytest.mark.parametrize("name", ["b.gif", "b.GIF", "b.heic"])
def test_a_picture_that_is_not_read_is_not_passed_over(tmp_path, name):
    write_picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / name).write_bytes(b"GIF89a")
    with pytest.raises(DataFormatError, match="are not read; save them as PNG"):
        import_images(tmp_path / "work", str(tmp_path / "in"))
    with pytest.raises(DataFormatError, match="a GIF; save it as PNG"):
        import_images(tmp_path / "work", str(tmp_path / "in" / name))


def test_without_a_crs_the_gsd_is_unknown_and_can_be_given(tmp_path):
    write_geotiff(tmp_path / "in" / "n.tif", crs=None)
    import_images(tmp_path / "work", str(tmp_path / "in"), ImportOptions(ground_resolution=0.8))
    assert Workspace.open(tmp_path / "work").tasks["n"].ground_resolution == 0.8


def test_a_release_brings_questions_and_masks_to_correct(tmp_path, release):
    found = import_images(tmp_path / "work", str(release))
    work = Workspace.open(tmp_path / "work")
    assert (found.images, found.masks) == (6, 6)
    assert work.tasks["a"].questions == ["Where would a be?", "And where else?"]
    assert work.tasks["d"].split == "validation"
    assert work.prelabels()["a"].mask[4:10, 5:15].all()
    assert work.prelabels()["f"].is_empty
    assert work.drawings() == {}


def test_masks_of_a_named_annotator_are_drawings(tmp_path, release):
    import_images(tmp_path / "work", str(release), ImportOptions(annotator="expert"))
    assert Workspace.open(tmp_path / "work").drawings()["a"][0].annotator == "expert"


def test_two_pictures_of_one_name_are_refused_and_nothing_is_kept(tmp_path):
    write_picture(tmp_path / "in" / "x" / "same.png")
    write_picture(tmp_path / "in" / "y" / "same.png")
    with pytest.raises(DataFormatError, match="two pictures are named 'same'"):
        import_images(tmp_path / "work", str(tmp_path / "in"))
    assert not (tmp_path / "work" / "tasks.jsonl").exists()
    assert not (tmp_path / "work" / "images").exists()


def test_a_broken_picture_is_named_and_nothing_is_kept(tmp_path):
    write_picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataFormatError, match=r"b\.png"):
        import_images(tmp_path / "work", str(tmp_path / "in"))
    assert not (tmp_path / "work" / "images").exists()


@pytest.mark.parametrize("size", [(40, 60), SIZE])
def test_an_image_that_was_drawn_on_is_not_replaced_by_another(workspace, tmp_path, size):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna")])
    before = workspace.picture("a").read_bytes()
    write_picture(tmp_path / "again" / "a.png", *size, seed=99)
    with pytest.raises(DataFormatError, match=f"task 'a' was drawn on.*30 x 20 pixels; the new one has {size[1]} x"):
        import_images(workspace.root, str(tmp_path / "again"))
    assert workspace.picture("a").read_bytes() == before


def test_an_image_that_people_see_on_a_server_is_not_replaced_by_another(workspace, tmp_path):
    workspace.write_server(Server("local", "http://127.0.0.1:8080", {"all": 1}))
    write_picture(tmp_path / "again" / "a.png", seed=99)
    with pytest.raises(DataFormatError, match="is on a Label Studio, with another picture"):
        import_images(workspace.root, str(tmp_path / "again"))


def test_the_same_pixels_again_keep_drawings_and_facts(workspace, tmp_path):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna")])
    known = replace(
        workspace.tasks["a"],
        questions=["Where?"],
        answers=["There."],
        category="pond",
        split="train",
        ground_resolution=0.5,
        source="survey",
    )
    workspace.add_tasks([known])
    (tmp_path / "again").mkdir()
    Image.open(workspace.picture("a")).save(tmp_path / "again" / "a.png", compress_level=0)
    import_images(workspace.root, str(tmp_path / "again"))
    assert Workspace.open(workspace.root).tasks["a"] == known
    import_images(workspace.root, str(tmp_path / "again"), ImportOptions(split="test", ground_resolution=0.8))
    assert Workspace.open(workspace.root).tasks["a"] == replace(known, split="test", ground_resolution=0.8)


def test_questions_that_come_replace_those_there_with_their_answers(tmp_path, release):
    import_images(tmp_path / "work", str(release))
    task = Workspace.open(tmp_path / "work").tasks["f"]
    Workspace.open(tmp_path / "work").add_tasks([replace(task, questions=["Old?"], answers=["Yes."])])
    import_images(tmp_path / "work", str(release))
    assert Workspace.open(tmp_path / "work").tasks["f"] == task
    assert task.answers == []


def test_a_pre_annotation_goes_with_the_picture_it_was_of(workspace, tmp_path):
    workspace.add_tasks([replace(workspace.tasks["a"], ground_resolution=0.5, category="pond")])
    workspace.write_prelabels({name: draw(name, box(SIZE, 1, 1, 5, 5)) for name in "ab"})
    write_picture(tmp_path / "again" / "a.png", 40, 60, seed=99)
    write_picture(tmp_path / "again" / "b.png", seed=1)
    assert import_images(workspace.root, str(tmp_path / "again")).dropped == 1
    assert set(workspace.prelabels()) == {"b"}
    task = Workspace.open(workspace.root).tasks["a"]
    assert (task.category, task.ground_resolution) == ("pond", None)


@pytest.mark.parametrize("name", ["masks", "class_masks", "labels", "Mask", "SegmentationClass"])
def test_masks_beside_pictures_are_not_imported_as_pictures(tmp_path, name):
    """The layout of most published data sets, and of VOC."""
    write_picture(tmp_path / "data" / "images" / "a.png")
    write_picture(tmp_path / "data" / name / "a_label.png")
    with pytest.raises(DataFormatError, match=rf"{name}: seems to hold masks.*import .*images, .*--masks"):
        import_images(tmp_path / "work", str(tmp_path / "data"))
    assert not (tmp_path / "work" / "tasks.jsonl").exists()
    assert import_images(tmp_path / "alone", str(tmp_path / "data" / name)).images == 1


@pytest.mark.parametrize("name", ["two-shapes.xml", "coco.json", "shapes.gpkg", "masks.zip"])
def test_annotations_given_as_pictures_are_told_to_be_masks(tmp_path, name):
    (tmp_path / name).write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(EarthReasonError, match="--masks"):
        import_images(tmp_path / "work", str(tmp_path / name))
    (tmp_path / "labelme").mkdir()
    (tmp_path / "labelme" / "a.json").write_text("{}")
    with pytest.raises(EarthReasonError, match="labelme: has no pictures; .*--masks"):
        import_images(tmp_path / "work", str(tmp_path / "labelme"))
