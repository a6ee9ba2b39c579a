"""Several targets of one image: tasks that share a picture."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import ReadOptions
from annotation_tools.imports import ImportOptions, import_all
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask
from tests.conftest import SHARED

from .conftest import box, import_images, import_masks, write_picture

SIZE = (20, 30)
REAL = SHARED / "data" / "real_samples"
POND, MILL = box(SIZE, 1, 1, 5, 5), box(SIZE, 8, 8, 12, 20)
NEW = ImportOptions(read=ReadOptions(new_targets=True))


def coco(path, labelled, names=("a.png",)):
    """A COCO file with (label, mask) on its first image."""
    images = [
        {"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for number, name in enumerate(names)
    ]
    labels = sorted({label for label, _ in labelled})
    entries = [
        {"id": n, "image_id": 0, "category_id": labels.index(label), "segmentation": encode_mask(mask)}
        for n, (label, mask) in enumerate(labelled)
    ]
    categories = [{"id": n, "name": label} for n, label in enumerate(labels)]
    path.write_text(json.dumps({"images": images, "annotations": entries, "categories": categories}))
    return path


def pictures_in(workspace):
    return sorted(path.name for path in (workspace.root / "images").iterdir())


@pytest.fixture
def split_up(workspace, tmp_path):
    """The workspace whose image a has the targets mill and pond."""
    import_masks(workspace.root, coco(tmp_path / "two.json", [("pond", POND), ("mill", MILL)]), NEW)
    return Workspace.open(workspace.root)


def test_each_category_of_an_image_becomes_a_task_with_the_same_picture(split_up):
    assert set(split_up.tasks) == {"a__mill", "a__pond", "b", "c", "d"}
    assert split_up.picture("a__mill") == split_up.picture("a__pond")
    assert pictures_in(split_up) == ["a.png", "b.png", "c.png", "d.png"]
    assert np.array_equal(split_up.prelabels()["a__pond"].mask, POND)
    assert np.array_equal(split_up.prelabels()["a__mill"].mask, MILL)
    assert split_up.prelabels()["a__mill"].category == "mill"


def test_importing_the_picture_again_keeps_the_targets(split_up, tmp_path):
    options = ImportOptions(ground_resolution=0.3)
    assert import_images(split_up.root, str(tmp_path / "pictures" / "a.png"), options).images == 0
    again = Workspace.open(split_up.root)
    assert set(again.tasks) == set(split_up.tasks)
    assert again.tasks["a__pond"].ground_resolution == 0.3
    assert again.tasks["a__pond"].category == "pond"


def test_a_later_file_gives_each_target_the_shapes_of_its_label(split_up, tmp_path):
    import_masks(split_up.root, coco(tmp_path / "l.json", [("Pond", MILL)]), ImportOptions(annotator="anna"))
    assert list(split_up.drawings()) == ["a__pond"]
    with pytest.raises(DataFormatError, match=r"none of the image's targets is 'quay' \(pond, mill\).*--new-targets"):
        import_masks(split_up.root, coco(tmp_path / "q.json", [("quay", MILL)]))
    anna = ImportOptions(annotator="anna", read=ReadOptions(target="mill"))
    import_masks(split_up.root, coco(tmp_path / "q.json", [("quay", MILL)]), anna)
    assert set(split_up.drawings()) == {"a__pond", "a__mill"}


def test_an_image_without_shapes_does_not_say_which_target_is_missing(split_up, tmp_path):
    empty = ReadOptions(unmarked_is_empty=True)
    with pytest.raises(DataFormatError, match=r"not which one \(pond, mill\); choose with --target"):
        import_masks(split_up.root, coco(tmp_path / "e.json", []), ImportOptions(annotator="b", read=empty))
    chosen = ReadOptions(unmarked_is_empty=True, target="mill")
    import_masks(split_up.root, coco(tmp_path / "e.json", []), ImportOptions(annotator="b", read=chosen))
    (drawing,) = split_up.drawings()["a__mill"]
    assert drawing.is_empty


def test_a_task_with_a_drawing_stays_beside_new_targets(workspace, tmp_path):
    import_masks(workspace.root, coco(tmp_path / "one.json", [("pond", POND)]), ImportOptions(annotator="anna"))
    import_masks(workspace.root, coco(tmp_path / "two.json", [("mill", MILL)]), NEW)
    again = Workspace.open(workspace.root)
    assert {"a", "a__mill"} <= set(again.tasks)
    assert list(again.drawings()) == ["a"]


def test_instances_are_separate_masks_whose_union_is_the_mask(workspace, tmp_path):
    options = ImportOptions(annotator="anna", read=ReadOptions(instances=True))
    import_masks(workspace.root, coco(tmp_path / "two.json", [("pond", POND), ("pond", MILL)]), options)
    (drawing,) = workspace.drawings()["a"]
    assert drawing.targets == [encode_mask(POND), encode_mask(MILL)]
    assert np.array_equal(drawing.mask, POND | MILL)
    assert Workspace.open(workspace.root).tasks["a"].separate


def samples(folder, names, seed=1):
    """A JSON Lines set of samples about one picture."""
    write_picture(folder / "scene.png", *SIZE, seed=seed)
    rows = []
    for number, name in enumerate(names):
        Image.fromarray(box(SIZE, 1, 1, 5, 5 + number)).save(folder / f"{name}-mask.png")
        rows.append({"id": name, "image": "scene.png", "mask": f"{name}-mask.png", "problem": f"Where is {name}?"})
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "test.jsonl"


def test_samples_about_one_image_share_its_picture(tmp_path):
    import_all(tmp_path / "work", str(samples(tmp_path, ["mill", "pond"])), ())
    workspace = Workspace.open(tmp_path / "work")
    assert set(workspace.tasks) == {"mill", "pond"}
    assert len(pictures_in(workspace)) == 1
    import_all(tmp_path / "work", str(samples(tmp_path, ["pond", "mill"])), ())
    assert len(pictures_in(Workspace.open(tmp_path / "work"))) == 1


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared is not here")
def test_eighty_real_masks_of_forty_images_are_one_workspace(tmp_path):
    manifest = [json.loads(line) for line in (REAL / "manifest.jsonl").read_text().splitlines()]
    for folder in ("images", "masks"):
        shutil.copytree(REAL / folder, tmp_path / "set" / folder, copy_function=shutil.copyfile)
    rows = [
        {
            "id": Path(target["mask"]).stem,
            "image": image["image"],
            "mask": target["mask"],
            "problem": f"Where is {target['target']}?",
            "category": target["target"],
        }
        for image in manifest
        for target in image["targets"]
    ]
    (tmp_path / "set" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    human = ImportOptions(annotator="human")
    found = import_all(tmp_path / "work", str(tmp_path / "set" / "test.jsonl"), (), human)
    assert [(one.images, one.masks) for one in found] == [(80, 80)]
    workspace = Workspace.open(tmp_path / "work")
    marked = sum(bool(image["targets"]) for image in manifest)
    assert len(pictures_in(workspace)) == marked
    stated = {Path(target["mask"]).stem: target for image in manifest for target in image["targets"]}
    for name, (drawing,) in workspace.drawings().items():
        assert drawing.is_empty == stated[name]["empty"]
        assert drawing.mask.mean() == pytest.approx(stated[name]["positive_fraction"], abs=1e-5)
