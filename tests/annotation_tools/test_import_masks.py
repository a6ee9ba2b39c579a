"""Annotation files that are imported into a workspace."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from annotation_tools.formats.base import ReadOptions
from annotation_tools.imports import Imported, ImportOptions, import_all
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import encode_mask

from .conftest import box, drawn, import_masks, write_picture

SIZE = (20, 30)
SQUARE = [[2, 3], [10, 3], [10, 12], [2, 12]]
INNER = [[2, 3], [9, 3], [9, 11], [2, 11]]
"""Corners of the same square in labelme, which cuts coordinates and marks the pixels of the outline too."""


def coco(path, segmentation, size=SIZE, name="a.png", category="pond"):
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
                "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
                "categories": [{"id": 1, "name": category}],
            }
        )
    )
    return path


def labelme(path, points, kind="polygon", size=SIZE, **more):
    document = {
        "version": "5.5.0",
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
        "flags": {},
        "shapes": [{"label": "pond", "points": points, "shape_type": kind, **more}],
    }
    path.write_text(json.dumps(document))
    return path


def cvat(path, shape, head="", size=SIZE):
    path.write_text(
        f'{head}<annotations><version>1.1</version><image id="0" name="a.png" width="{size[1]}" '
        f'height="{size[0]}">{shape}</image></annotations>'
    )
    return path


def everything_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_images_stay_out_where_masks_that_come_with_them_have_a_fault(workspace, tmp_path):
    good, bad = coco(tmp_path / "c.json", [[2, 3, 10, 3, 10, 12]]), labelme(tmp_path / "a.json", BOW)
    write_picture(tmp_path / "more" / "e.png", seed=9)
    before = everything_in(workspace.root)
    for masks in ([bad], [good, bad], [good, coco(tmp_path / "z.json", [[2, 3, 10, 3, 10, 12]], name="z.png")]):
        with pytest.raises(EarthReasonError):
            import_all(workspace.root, str(tmp_path / "more"), masks, ImportOptions(annotator="anna"))
        with pytest.raises(EarthReasonError):
            import_all(tmp_path / "new", str(tmp_path / "pictures"), masks)
    assert everything_in(workspace.root) == before
    assert not (tmp_path / "new" / "tasks.jsonl").exists()
    assert not list((tmp_path / "new").glob("images*"))


def test_masks_may_be_of_images_that_come_with_them(tmp_path):
    write_picture(tmp_path / "in" / "a.png")
    found = import_all(tmp_path / "new", str(tmp_path / "in"), [coco(tmp_path / "c.json", [[2, 3, 10, 3, 10, 12]])])
    assert found == [Imported(1, 0), Imported(0, 1)]
    assert set(Workspace.open(tmp_path / "new").prelabels()) == {"a"}


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: coco(folder / "c.json", [[2, 3, 10, 3, 10, 12, 2, 12]]),
        lambda folder: coco(folder / "c.json", encode_mask(box(SIZE, 3, 2, 12, 10))),
        lambda folder: coco(folder / "c.json", {"size": [20, 30], "counts": [43, *[9, 11] * 7, 9, 408]}),
        lambda folder: labelme(folder / "a.json", INNER),
        lambda folder: labelme(folder / "a.json", [[2, 3], [9.9, 11]], "rectangle"),
        lambda folder: cvat(folder / "v.xml", '<polygon label="pond" points="2,3;10,3;10,12;2,12"/>'),
        lambda folder: cvat(folder / "v.xml", '<box label="pond" xtl="2" ytl="3" xbr="10" ybr="12"/>'),
    ],
    ids=["coco polygon", "coco rle", "coco counts", "labelme polygon", "labelme box", "cvat polygon", "cvat box"],
)
def test_a_square_is_the_same_square_in_every_format(workspace, tmp_path, make):
    import_masks(workspace.root, make(tmp_path), ImportOptions(annotator="anna"))
    (drawing,) = workspace.drawings()["a"]
    assert np.array_equal(drawing.mask, box(SIZE, 3, 2, 12, 10))
    assert drawing.category == "pond"


BOW = [[2, 2], [12, 12], [12, 2], [2, 12]]
FAR = [[2, 2], [50, 2], [50, 12], [2, 12]]


@pytest.mark.parametrize(("points", "message"), [(BOW, "Self-intersection"), (FAR, "outside the image of 30 x 20")])
@pytest.mark.parametrize("form", ["coco", "labelme", "cvat"])
def test_self_intersections_and_far_points_are_errors_and_can_be_repaired(workspace, tmp_path, form, points, message):
    flat = [value for point in points for value in point]
    pairs = ";".join(f"{x},{y}" for x, y in points)
    path = {
        "coco": lambda: coco(tmp_path / "c.json", [flat]),
        "labelme": lambda: labelme(tmp_path / "a.json", points),
        "cvat": lambda: cvat(tmp_path / "v.xml", f'<polygon label="pond" points="{pairs}"/>'),
    }[form]()
    with pytest.raises(DataFormatError, match=message) as caught:
        import_masks(workspace.root, path)
    assert "--repair" in str(caught.value)
    assert workspace.prelabels() == {}
    import_masks(workspace.root, path, ImportOptions(read=ReadOptions(repair=True)))
    assert workspace.prelabels()["a"].mask.any()


def test_even_odd_repair_of_a_bow_tie_keeps_both_wings(workspace, tmp_path):
    import_masks(workspace.root, labelme(tmp_path / "a.json", BOW), ImportOptions(read=ReadOptions(repair=True)))
    mask = workspace.prelabels()["a"].mask
    assert mask[7, 3]
    assert mask[7, 11]
    assert not mask[3, 7]


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: coco(folder / "c.json", [[2, 3, 10, 3, 10, 12]], size=(40, 60)),
        lambda folder: labelme(folder / "a.json", SQUARE, size=(40, 60)),
        lambda folder: cvat(folder / "v.xml", '<polygon label="pond" points="2,3;10,3;10,12"/>', size=(40, 60)),
    ],
)
def test_an_annotation_on_a_resized_image_is_refused(workspace, tmp_path, make):
    with pytest.raises(DataFormatError, match=r"drawn on 60 x 40 pixels, but the image is 30 x 20; it was resized"):
        import_masks(workspace.root, make(tmp_path))
    assert workspace.prelabels() == {}


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("head", [BOMB, OUTSIDE, '<!DOCTYPE x SYSTEM "http://example.org/x.dtd">'])
def test_xml_with_entities_is_refused(workspace, tmp_path, head):
    path = cvat(tmp_path / "v.xml", '<tag label="x"/>', head=head)
    with pytest.raises(DataFormatError, match=r"v\.xml: declares a document type or entities"):
        import_masks(workspace.root, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations", "not XML"),
        ("<other/>", "in none of the known formats"),
        ("<annotations><track/></annotations>", "video tracks"),
        ('<annotations><image id="0" name="a.png" width="3"/></annotations>', "not CVAT for images"),
    ],
)
def test_broken_cvat_files_say_what_is_wrong(workspace, tmp_path, content, message):
    (tmp_path / "v.xml").write_text(content)
    with pytest.raises(DataFormatError, match=message):
        import_masks(workspace.root, tmp_path / "v.xml")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<mask label="p" rle="5, 3" left="0" top="0" width="3" height="3"/>', "runs of 8 pixels in a box of 3 x 3"),
        (
            f'<mask label="p" rle="{", ".join([str(2**62)] * 4)}, 9" left="0" top="0" width="3" height="3"/>',
            f"runs of {2**64 + 9} pixels in a box of 3 x 3",
        ),
        ('<mask label="p" rle="-1, 10" left="0" top="0" width="3" height="3"/>', "runs of 9 pixels in a box of 3 x 3"),
        ('<mask label="p" rle="9" left="29" top="0" width="3" height="3"/>', "box extends outside"),
        ('<polygon label="p" points="1,1;2,2"/>', "at least three points"),
        ('<blob label="p"/>', "unknown kind 'blob'"),
    ],
)
def test_broken_cvat_shapes_are_named(workspace, tmp_path, shape, message):
    with pytest.raises(DataFormatError, match=message) as caught:
        import_masks(workspace.root, cvat(tmp_path / "v.xml", shape))
    assert "image 'a.png', shape 1" in str(caught.value)


def test_several_categories_need_a_choice(workspace, tmp_path):
    shapes = '<box label="pond" xtl="0" ytl="0" xbr="2" ybr="2"/><box label="mill" xtl="5" ytl="5" xbr="9" ybr="9"/>'
    path = cvat(tmp_path / "v.xml", shapes)
    with pytest.raises(DataFormatError, match=r"several categories \(mill, pond\).*--category"):
        import_masks(workspace.root, path)
    import_masks(workspace.root, path, ImportOptions(read=ReadOptions(category="mill")))
    assert workspace.prelabels()["a"].segmentation == encode_mask(box(SIZE, 5, 5, 9, 9))


def test_no_target_is_only_believed_when_it_is_said(workspace, tmp_path):
    silent = cvat(tmp_path / "v.xml", "")
    with pytest.raises(DataNotFoundError, match="--unmarked-is-empty"):
        import_masks(workspace.root, silent)
    import_masks(workspace.root, silent, ImportOptions(read=ReadOptions(unmarked_is_empty=True)))
    assert workspace.prelabels()["a"].is_empty


def test_a_task_that_was_skipped_in_label_studio_says_nothing(workspace, tmp_path):
    skipped = {"id": 5, "completed_by": 1, "was_cancelled": True, "result": []}
    seen = {"id": 6, "completed_by": 1, "was_cancelled": False, "result": []}
    data = {"image": "a.png", "height": 20, "width": 30}
    tasks = [{"data": data, "annotations": [skipped]}, {"data": data | {"image": "b.png"}, "annotations": [seen]}]
    (tmp_path / "ls.json").write_text(json.dumps(tasks))
    import_masks(workspace.root, tmp_path / "ls.json", ImportOptions(read=ReadOptions(unmarked_is_empty=True)))
    assert set(workspace.drawings()) == {"b"}


def test_a_contradiction_of_shape_and_no_target_is_an_error(workspace, tmp_path):
    shapes = '<tag label="no target"/><box label="pond" xtl="0" ytl="0" xbr="2" ybr="2"/>'
    with pytest.raises(DataFormatError, match="one of them is wrong"):
        import_masks(workspace.root, cvat(tmp_path / "v.xml", shapes))


def test_a_folder_of_png_masks(workspace, tmp_path):
    (tmp_path / "masks").mkdir()
    for name in "ab":
        (tmp_path / "masks" / f"{name}.png").write_bytes(encode_mask_png(box(SIZE, 1, 2, 3, 4)))
    assert import_masks(workspace.root, tmp_path / "masks").masks == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "tasks of Label Studio must be objects, but number 1 is int"),
        ('{"a": 1}', "in none of the known formats"),
        ('{"shapes": 3, "imagePath": "a.png"}', "'shapes' must be a list"),
        ('{"images": [], "annotations": [{"image_id": 3}]}', "image_id 3, which is not listed"),
    ],
)
def test_broken_json_says_what_is_wrong(workspace, tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataFormatError, match=message):
        import_masks(workspace.root, tmp_path / "x.json")


def test_an_image_the_workspace_does_not_have_is_named(workspace, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"lists zebra\.png"):
        import_masks(workspace.root, coco(tmp_path / "c.json", [[2, 3, 10, 3, 10, 12]], name="zebra.png"))


@pytest.mark.parametrize("size", [(0, 30), (10**6, 10**6), ("x", 30)])
def test_sizes_no_image_can_have_are_refused_before_memory_is_taken(workspace, tmp_path, size):
    for path in (
        coco(tmp_path / "c.json", [SQUARE[0] * 3], size),
        labelme(tmp_path / "a.json", SQUARE, size=size),
        cvat(tmp_path / "v.xml", '<box label="p" xtl="0" ytl="0" xbr="2" ybr="2"/>', size=size),
    ):
        with pytest.raises(DataFormatError, match="pixels"):
            import_masks(workspace.root, path)


def test_an_image_that_a_file_draws_twice_is_named(workspace, tmp_path):
    image = (
        '<image id="1" name="sub/a.png" width="30" height="20"><box label="p" xtl="0" ytl="0" xbr="2" ybr="2"/></image>'
    )
    path = cvat(tmp_path / "v.xml", '<box label="p" xtl="0" ytl="0" xbr="5" ybr="5"/>')
    path.write_text(path.read_text().replace("</annotations>", f"{image}</annotations>"))
    with pytest.raises(DataFormatError, match=r"a: several images of the file fit it \(a\.png, sub/a\.png\)"):
        import_masks(workspace.root, path)


def test_what_somebody_imports_stands_before_what_the_same_person_drew_earlier(workspace, tmp_path):
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna", created="2026-01-01T10:00:00Z")])
    import_masks(workspace.root, labelme(tmp_path / "a.json", INNER), ImportOptions(annotator="anna"))
    (newest,) = workspace.drawings()["a"]
    assert np.array_equal(newest.mask, box(SIZE, 3, 2, 12, 10))
    assert datetime.now(UTC) - newest.saved < timedelta(minutes=5)
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 6, 6), "anna", created="2999-01-01T10:00:00Z")])
    (newest,) = workspace.drawings()["a"]
    assert newest.created == "2999-01-01T10:00:00Z"


def test_a_second_import_makes_the_next_version_and_loses_nothing(workspace):
    first, second = box(SIZE, 1, 1, 5, 5), box(SIZE, 1, 1, 6, 6)
    assert workspace.add_drawings([drawn("a", first, "anna")]) == {"new": 1}
    assert workspace.add_drawings([drawn("a", first, "anna")]) == {"same": 1}
    assert workspace.add_drawings([drawn("a", second, "anna", created="2026-01-02T10:00:00Z")]) == {"changed": 1}
    (newest,) = workspace.drawings()["a"]
    assert newest.version == 2
    assert np.array_equal(newest.mask, second)
    assert np.array_equal(workspace.versions()[0].mask, first)
