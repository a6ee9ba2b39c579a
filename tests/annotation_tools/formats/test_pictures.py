"""Label pictures: which values are target, which are background, and what is asked rather than guessed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation_tools.formats.base import ReadOptions
from annotation_tools.imports import ImportOptions
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.masks.rle import rle_area
from tests.conftest import SHARED

from ..conftest import box, drawn, import_images, import_masks

SIZE = (20, 30)
LEFT, RIGHT = box(SIZE, 2, 2, 8, 8), box(SIZE, 5, 15, 15, 25)
REAL = SHARED / "data" / "real_samples"
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def levels(left, right=0, background=0, dtype=np.uint8):
    out = np.full(SIZE, background, dtype)
    out[LEFT], out[RIGHT] = left, right
    return out


def colours(left, right=None, background=(0, 0, 0)):
    out = np.full((*SIZE, len(background)), background, np.uint8)
    out[LEFT], out[RIGHT] = left, background if right is None else right
    return out


def save(path, pixels, palette=None, **options):
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, **options)
    return path


def imported(workspace, path, **options):
    import_masks(workspace.root, path, ImportOptions(read=ReadOptions(**options)))
    return workspace.prelabels()


@pytest.mark.parametrize(
    "pixels",
    [
        levels(1),
        levels(255),
        levels(7),
        levels(300, dtype=np.uint16),
        levels(65535, dtype=np.uint16),
        levels(1).astype(bool),
        colours((255, 255, 255)),
        colours((9, 8, 7)),
        colours((9, 8, 7, 255), background=(0, 0, 0, 255)),
        colours((9, 8, 7, 255), background=(9, 8, 7, 0)),
    ],
    ids=["0/1", "0/255", "0/7", "0/300", "0/65535", "1 bit", "white", "colour", "opaque", "on transparent"],
)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".PNG"])
def test_one_value_beside_the_background_is_the_mask(workspace, tmp_path, pixels, suffix):
    found = imported(workspace, save(tmp_path / f"a{suffix}", pixels), unnamed="pond")
    assert np.array_equal(found["a"].mask, LEFT)
    assert found["a"].category == "pond"


def test_a_bitmap_is_a_mask(workspace, tmp_path):
    assert np.array_equal(imported(workspace, save(tmp_path / "a.bmp", levels(255)))["a"].mask, LEFT)


def test_a_palette_is_read_by_its_colours_or_indices(workspace, tmp_path):
    path = save(tmp_path / "m" / "a.png", levels(2, 3), VOC)
    with pytest.raises(DataFormatError, match=r"#008000 \(36 pixels in 1 file\).*--category VALUE"):
        imported(workspace, path)
    for category in ("2", "#008000", "0,128,0"):
        assert np.array_equal(imported(workspace, path, category=category, unnamed="car")["a"].mask, LEFT)
    assert workspace.prelabels()["a"].category == "car"
    grey = [level for index in range(256) for level in (index, index, index)]
    assert np.array_equal(imported(workspace, save(tmp_path / "b.png", levels(9), grey))["b"].mask, LEFT)


def test_an_index_with_other_colours_in_each_file_is_ambiguous(workspace, tmp_path):
    save(tmp_path / "m" / "a.png", levels(1, 2), [0, 0, 0, 255, 0, 0, 0, 255, 0])
    path = save(tmp_path / "m" / "b.png", levels(1, 2), [0, 0, 0, 0, 255, 0, 255, 0, 0])
    with pytest.raises(DataFormatError, match=r"index 1 has several colours \(#00ff00, #ff0000\)"):
        imported(workspace, path.parent, category="1")
    found = imported(workspace, path.parent, category="#F00")
    assert np.array_equal(found["a"].mask, LEFT)
    assert np.array_equal(found["b"].mask, RIGHT)


@pytest.mark.parametrize(
    ("pixels", "fault"),
    [
        (levels(1, 2), r"1 \(36 pixels.*, 2|2 \(100 pixels in 1 file\), 1 \(36 pixels"),
        (levels(1, 255), "255 often marks pixels to ignore"),
        (levels(2, 1, background=1), r"1 \(564 pixels in 1 file\), 2 \(36 pixels"),
        (colours((9, 8, 7), background=(200, 0, 0)), "#c80000.*#090807"),
        (colours((0, 0, 0, 255), background=(0, 0, 0, 0)), r": 0 \(36 pixels"),
        (colours((0, 0, 0, 255), (9, 8, 7, 255), (0, 0, 0, 0)), "#090807.*#000000"),
        (np.arange(600, dtype=np.uint16).reshape(SIZE), "is it the picture itself"),
    ],
)
def test_several_values_are_listed_and_none_is_guessed(workspace, tmp_path, pixels, fault):
    with pytest.raises(DataFormatError, match=fault) as caught:
        imported(workspace, save(tmp_path / "a.png", pixels))
    assert "\n" not in str(caught.value)
    assert workspace.prelabels() == {}


def test_files_with_one_value_each_are_compared(workspace, tmp_path):
    save(tmp_path / "m" / "a.png", levels(1))
    save(tmp_path / "m" / "b.png", levels(255))
    with pytest.raises(DataFormatError, match=r"1 \(36 pixels in 1 file\), 255"):
        imported(workspace, tmp_path / "m")
    assert set(imported(workspace, tmp_path / "m", category=">0", unnamed="pond")) == {"a", "b"}
    assert set(imported(workspace, tmp_path / "m", new_targets=True)) >= {"a__1", "b__255"}


def test_soft_edges_need_a_threshold_with_a_name(workspace, tmp_path):
    soft = levels(255)
    soft[LEFT.nonzero()[0].min(), :8] = np.arange(8) * 20 + 10  # 10, 30, ..., 150
    path = save(tmp_path / "a.png", soft)
    with pytest.raises(DataFormatError, match="give it one with --as"):
        imported(workspace, path, category=">127")
    found = imported(workspace, path, category=">127", unnamed="pond")["a"]
    assert np.array_equal(found.mask, soft > 127)
    assert found.category == "pond"


def test_a_value_that_no_pixel_has_is_an_error_and_an_image_without_it_unmarked(workspace, tmp_path):
    save(tmp_path / "m" / "a.png", levels(1, 2))
    save(tmp_path / "m" / "b.png", levels(2, 2))
    save(tmp_path / "m" / "c.png", levels(0))
    with pytest.raises(DataFormatError, match="no pixel has the value '3'; there are 2"):
        imported(workspace, tmp_path / "m", category="3")
    assert set(imported(workspace, tmp_path / "m", category="1")) == {"a"}
    found = imported(workspace, tmp_path / "m", category="1", unmarked_is_empty=True)
    assert [found[name].is_empty for name in "abc"] == [False, True, True]


def test_a_black_mask_beside_masks_of_one_value_says_no_target(workspace, tmp_path):
    save(tmp_path / "m" / "a.png", levels(255))
    save(tmp_path / "m" / "b.png", levels(0))
    found = imported(workspace, tmp_path / "m")
    assert [found[name].is_empty for name in "ab"] == [False, True]


def test_values_can_number_instances(workspace, tmp_path):
    path = save(tmp_path / "a.tif", levels(500, 7, dtype=np.uint16))
    found = imported(workspace, path, instances=True, unnamed="car")["a"]
    assert [rle_area(target) for target in found.targets] == [100, 36]
    assert np.array_equal(found.mask, LEFT | RIGHT)
    with pytest.raises(DataFormatError, match="255 seems to mark pixels to ignore"):
        imported(workspace, save(tmp_path / "b.png", levels(1, 255)), instances=True)


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WebP"), ("a.gif", "GIF"), ("a.png", "JPEG")])
def test_what_changes_values_cannot_hold_a_mask(workspace, tmp_path, name, kind):
    save(tmp_path / "m" / name, levels(255), format=kind)
    for path in (tmp_path / "m" / name, tmp_path / "m"):
        with pytest.raises(DataFormatError, match=f"{kind} changes the values of pixels"):
            imported(workspace, path)


@pytest.mark.parametrize(
    ("name", "fault"),
    [("jpeg.tif", "JPEG compression changes"), ("soft.png", "soft edges"), ("deep.png", "16 bits a colour"),
     ("pages.tif", "2 pages"), ("broken.png", "not a readable label picture"), ("float.tif", "only 0 and 1")],
)  # fmt: skip
def test_other_pictures_are_refused_in_one_line(workspace, tmp_path, name, fault):
    path = tmp_path / name
    if name == "jpeg.tif":
        save(path, colours((255, 255, 255)), compression="jpeg")
    elif name == "soft.png":
        save(path, colours((9, 8, 7, 100), background=(0, 0, 0, 0)))
    elif name == "deep.png":
        import cv2

        cv2.imwrite(str(path), colours((255, 0, 0)).astype(np.uint16) * 257)
    elif name == "pages.tif":
        Image.fromarray(colours((9, 9, 9))).save(path, save_all=True, append_images=[Image.new("RGB", (30, 20))])
    elif name == "float.tif":
        save(path, levels(0.5, dtype=np.float32))
    else:
        path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataFormatError, match=fault) as caught:
        imported(workspace, path)
    assert "\n" not in str(caught.value)


def test_pixels_without_data_are_background(workspace, tmp_path):
    import rasterio

    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", height=20, width=30, count=1, dtype="uint8") as target:
        target.write(levels(1, 99), 1)
        target.nodata = 99
    assert np.array_equal(imported(workspace, tmp_path / "a.tif")["a"].mask, LEFT)


def test_names_with_a_word_for_masks_find_their_image(workspace, tmp_path):
    for name in ("a_mask.png", "b-labels.png", "c_GT.png"):
        save(tmp_path / "m" / name, levels(1))
    assert set(imported(workspace, tmp_path / "m")) == {"a", "b", "c"}
    with pytest.raises(DataNotFoundError, match="the file lists e_mask"):
        imported(workspace, save(tmp_path / "e_mask.png", levels(1)))


@pytest.mark.parametrize("name", ["a.png", "a_classes.png"])
def test_every_value_can_become_a_target(workspace, tmp_path, name):
    found = imported(workspace, save(tmp_path / name, levels(1, 2)), new_targets=True)
    assert {task: drawing.category for task, drawing in found.items()} == {"a__1": "1", "a__2": "2"}
    assert np.array_equal(found["a__2"].mask, RIGHT)
    assert "a" not in Workspace.open(workspace.root).tasks


def test_two_files_of_one_name_are_refused(workspace, tmp_path):
    save(tmp_path / "m" / "a.png", levels(1))
    save(tmp_path / "m" / "a.tif", levels(1))
    with pytest.raises(DataFormatError, match=r"a\.tif: a\.png is named alike"):
        imported(workspace, tmp_path / "m")


def test_a_mask_of_another_size_is_refused(workspace, tmp_path):
    with pytest.raises(EarthReasonError, match="20 x 30 pixels, but the image is 30 x 20"):
        imported(workspace, save(tmp_path / "a.png", np.ascontiguousarray(levels(1).T)))


def test_masks_that_are_exported_come_back_through_the_reader(workspace, tmp_path):
    from annotation_tools.exports import export_workspace

    workspace.add_drawings([drawn("a", LEFT, "anna"), drawn("b", RIGHT, "anna")])
    export_workspace(workspace, "png", tmp_path / "out")
    found = imported(workspace, next((tmp_path / "out").rglob("a.png")).parent)
    assert np.array_equal(found["a"].mask, LEFT)
    assert np.array_equal(found["b"].mask, RIGHT)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared is not here")
def test_class_maps_of_real_images_give_the_masks_made_from_them(tmp_path):
    classes = {"water": "#E2A929", "building": "#3C1098", "road": "#6EC1E4", "vegetation": "#FEDD3A"}
    rows = [json.loads(line) for line in (REAL / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["source"] == "dubai"][:3]
    (tmp_path / "maps").mkdir()
    for row in rows:
        import_images(tmp_path / "work", str(REAL / row["image"]))
        (tmp_path / "maps" / Path(row["class_mask"]).name).symlink_to(REAL / row["class_mask"])
    work = Workspace.open(tmp_path / "work")
    with pytest.raises(DataFormatError, match=r"#8429f6 \([\d,]+ pixels in 3 files\)"):
        imported(work, tmp_path / "maps")
    compared = 0
    for name, colour in classes.items():
        work.write_prelabels({})
        found = imported(work, tmp_path / "maps", category=colour, unnamed=name)
        for row in rows:
            for target in row["targets"]:
                if target["target"] != name:
                    continue
                truth = np.asarray(Image.open(REAL / target["mask"])) > 0
                assert (row["image_id"] in found) == truth.any()
                if truth.any():
                    assert np.array_equal(found[row["image_id"]].mask, truth)
                    assert found[row["image_id"]].category == name
                    compared += 1
    assert compared >= 5
