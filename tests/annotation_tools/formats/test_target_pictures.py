"""Label pictures named after an image and a target, and what is said of targets that are yet to be made."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from annotation_tools.exports import export_workspace
from annotation_tools.formats.base import ReadOptions
from annotation_tools.imports import ImportOptions, import_all
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, EarthReasonError
from tests.conftest import SHARED

from ..conftest import box, import_masks

REAL = SHARED / "data" / "real_samples"
SIZE = (20, 30)
POND, MILL = box(SIZE, 1, 1, 5, 5), box(SIZE, 8, 8, 12, 20)
NONE = np.zeros(SIZE, bool)


def folder_of(path, values=255, **masks):
    """A folder of label pictures by name."""
    path.mkdir(parents=True, exist_ok=True)
    for name, mask in masks.items():
        Image.fromarray(np.where(mask, values, 0).astype(np.uint8)).save(path / f"{name}.png")
    return path


def labelme(path, name, *shapes, says_empty=False):
    path.mkdir(exist_ok=True)
    listed = [{"label": label, "shape_type": "rectangle", "points": [[2, 2], [6, 6]]} for label in shapes]
    document = {"imagePath": f"{name}.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1], "shapes": listed}
    (path / f"{name}.json").write_text(json.dumps(document | {"flags": {"no target": says_empty}}))
    return path


def imported(workspace, path, who="ana", **options):
    result = import_masks(workspace.root, path, ImportOptions(annotator=who, read=ReadOptions(**options)))
    return Workspace.open(workspace.root), result


def areas(workspace):
    return {
        name: [(drawing.annotator, drawing.category, int(drawing.mask.sum())) for drawing in several]
        for name, several in workspace.drawings().items()
    }


def test_names_state_the_target_and_background_means_that_it_is_not_there(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", a__pond=POND, a__water_mill=MILL, b__pond=NONE)
    read, result = imported(workspace, masks, new_targets=True)
    assert (result.images, result.masks) == (3, 3)
    assert areas(read) == {
        "a__pond": [("ana", "pond", 16)],
        "a__water_mill": [("ana", "water mill", 48)],
        "b__pond": [("ana", None, 0)],
    }
    assert read.tasks["a__water_mill"].target == "water mill"
    assert set(read.tasks) == {"a__pond", "a__water_mill", "b__pond", "c", "d"}
    assert read.picture("a__pond") == read.picture("a__water_mill")


def test_a_second_person_s_masks_find_the_targets_and_have_their_category(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", a__pond=POND, a__water_mill=MILL)
    read, _ = imported(workspace, masks, new_targets=True)
    read, result = imported(read, masks, "ben")
    assert (result.images, result.masks) == (0, 2)
    assert areas(read)["a__water_mill"] == [("ana", "water mill", 48), ("ben", "water mill", 48)]


def test_names_find_targets_that_another_file_made(workspace, tmp_path):
    read, _ = imported(workspace, labelme(tmp_path / "labelme", "a", "Water mill"), new_targets=True)
    read, result = imported(read, folder_of(tmp_path / "masks", a__water_mill=MILL), "ben")
    assert (result.images, areas(read)["a__Water-mill"][1]) == (0, ("ben", "Water mill", 48))


def test_spellings_of_a_label_are_one_category(workspace, tmp_path):
    read, _ = imported(workspace, labelme(tmp_path / "labelme", "a", "tin roof", "Tin_Roof"), new_targets=True)
    assert areas(read) == {"a__tin-roof": [("ana", "tin roof", 25)]}


def test_a_word_for_masks_at_the_end_of_the_name_is_no_part_of_the_target(workspace, tmp_path):
    read, _ = imported(workspace, folder_of(tmp_path / "masks", a__pond_mask=POND), new_targets=True)
    assert areas(read) == {"a__pond": [("ana", "pond", 16)]}


def test_an_image_whose_own_name_has_the_sign_is_no_target_of_another(tmp_path):
    for name in ("a", "a__pond"):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", SIZE[::-1]).save(tmp_path / "pictures" / f"{name}.png")
    masks = folder_of(tmp_path / "masks", a__pond=POND, a__pond__mill=MILL)
    options = ImportOptions(annotator="ana", read=ReadOptions(new_targets=True))
    import_all(
        tmp_path / "work", str(tmp_path / "pictures"), [folder_of(tmp_path / "one", a__pond__mill=MILL)], options
    )
    assert set(areas(Workspace.open(tmp_path / "work"))) == {"a__pond__mill"}
    import_all(tmp_path / "plain", str(tmp_path / "pictures"), [masks / "a__pond.png"], ImportOptions(annotator="ana"))
    assert set(areas(Workspace.open(tmp_path / "plain"))) == {"a__pond"}


def test_masks_of_one_image_may_have_several_suffixes_and_folders(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks" / "east", a__pond=POND)
    Image.fromarray(MILL).save(masks / "a__mill.tif")
    read, _ = imported(workspace, tmp_path / "masks", new_targets=True)
    assert set(areas(read)) == {"a__pond", "a__mill"}


def test_a_target_that_is_missing_is_not_made_unsaid(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", a__pond=POND)
    with pytest.raises(DataFormatError, match=r"a__pond\.png: the image has no target 'pond'.*--new-targets"):
        imported(workspace, masks)
    assert set(Workspace.open(workspace.root).tasks) == set("abcd")


def test_each_target_may_have_a_value_of_its_own_but_not_several(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", 1, a__pond=POND)
    folder_of(masks, 2, a__mill=MILL, b__mill=MILL)
    read, _ = imported(workspace, masks, new_targets=True)
    assert areas(read)["a__mill"] == [("ana", "mill", 48)]
    assert areas(imported(read, masks, "ben")[0])["a__pond"] == [("ana", "pond", 16), ("ben", "pond", 16)]
    folder_of(masks, 3, c__mill=MILL)
    with pytest.raises(DataFormatError, match="names of files state one target"):
        imported(workspace, masks, "cleo", new_targets=True)


def test_a_threshold_needs_no_name_where_files_state_it_and_counts_what_is_below(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", np.where(MILL, 200, 90), a__mill=MILL | POND)
    folder_of(masks, 90, b__mill=POND)
    read, result = imported(workspace, masks, new_targets=True, category=">127")
    assert areas(read) == {"a__mill": [("ana", "mill", 48)]}
    assert result.skipped == {"pictures without a pixel above the threshold": 1}


def test_category_chooses_targets_by_name_also_those_that_are_not_there(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", a__pond=POND, a__mill=MILL, b__pond=NONE, b__mill=NONE)
    read, result = imported(workspace, masks, new_targets=True, category="pond")
    assert areas(read) == {"a__pond": [("ana", "pond", 16)], "b__pond": [("ana", None, 0)]}
    assert result.skipped == {"shapes of other labels": 1, "pictures of other targets, without a pixel": 1}


def test_background_among_several_values_is_counted(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", np.where(MILL, 2, 1), a=MILL | POND, b=NONE)
    _, result = imported(workspace, masks, category="2", unnamed="mill")
    assert (result.masks, sum(result.skipped.values())) == (1, 2)  # the pond, and picture b
    assert any("background only" in kind for kind in result.skipped)


def test_a_statement_of_no_target_is_kept_when_targets_are_made(workspace, tmp_path):
    folder = labelme(tmp_path / "labelme", "a", "pond", "mill")
    read, _ = imported(workspace, labelme(folder, "b", says_empty=True), new_targets=True)
    assert areas(read)["b"] == [("ana", None, 0)]
    with pytest.raises(DataFormatError, match=r"a\.json.*not which one \(.*pond.*\); choose with --target"):
        imported(read, labelme(tmp_path / "second", "a", says_empty=True), "ben", new_targets=True)


def test_no_target_is_said_of_the_target_that_is_named(workspace, tmp_path):
    folder = labelme(labelme(tmp_path / "labelme", "a", "pond"), "b", says_empty=True)
    read, _ = imported(workspace, folder, new_targets=True, target="pond")
    assert areas(read) == {"a__pond": [("ana", "pond", 25)], "b__pond": [("ana", None, 0)]}
    read, _ = imported(read, folder_of(tmp_path / "masks", c=MILL, d=NONE), new_targets=True, unnamed="mill")
    assert (areas(read)["c__mill"], areas(read)["d__mill"]) == ([("ana", "mill", 48)], [("ana", None, 0)])


def test_a_task_with_a_drawing_that_is_coming_is_not_replaced_by_targets(workspace, tmp_path):
    first = labelme(tmp_path / "first", "b", says_empty=True)
    second = folder_of(tmp_path / "second", b__pond=POND)
    options = ImportOptions(annotator="ana", read=ReadOptions(new_targets=True))
    import_all(workspace.root, None, [first, second], options)
    assert set(areas(Workspace.open(workspace.root))) == {"b", "b__pond"}


def test_images_that_a_file_only_lists_need_no_target(workspace, tmp_path):
    folder = labelme(labelme(tmp_path / "labelme", "a", "pond"), "b")
    read, _ = imported(workspace, folder, new_targets=True)
    assert areas(imported(read, folder, "ben", target="pond")[0]) == {
        "a__pond": [("ana", "pond", 25), ("ben", "pond", 25)]
    }


def test_masks_without_a_label_are_refused_as_such_where_there_are_several_targets(workspace, tmp_path):
    read, _ = imported(workspace, folder_of(tmp_path / "masks", a__pond=POND, a__mill=MILL), new_targets=True)
    with pytest.raises(DataFormatError, match=r"has no label, and the image has several targets \(mill, pond\)"):
        imported(read, folder_of(tmp_path / "plain", a=POND), "ben")


@pytest.mark.parametrize("form", ["cvat", "labelme", "labelstudio", "png", "coco"])
def test_an_export_with_targets_is_read_into_a_workspace_that_lacks_them(workspace, tmp_path, form):
    pictures = tmp_path / "pictures"
    masks = folder_of(tmp_path / "masks", a__pond=POND, a__mill=MILL, b__pond=NONE)
    read, _ = imported(workspace, masks, new_targets=True)
    export_workspace(read, form, tmp_path / "out", annotator="ana")
    options = ImportOptions(annotator="ana", read=ReadOptions(new_targets=True))
    import_all(tmp_path / "again", str(pictures), [tmp_path / "out"], options)
    assert areas(Workspace.open(tmp_path / "again")) == areas(read)


def test_separate_targets_of_a_png_export_are_read_back(workspace, tmp_path):
    file = tmp_path / "instances"
    Image.fromarray((POND * 1 + MILL * 2).astype(np.uint8)).save(folder_of(file) / "a.png")
    read, _ = imported(workspace, file, instances=True)
    export_workspace(read, "png", tmp_path / "out", annotator="ana")
    again, result = imported(read, tmp_path / "out", "ben")
    first, second = again.drawings()["a"]
    assert len(first.targets) == 2
    assert (first.targets, result.strangers) == (second.targets, [])
    folder_of(tmp_path / "out", a=POND)
    with pytest.raises(DataFormatError, match=r"a\.png: is not the union of its 2 masks in targets/"):
        imported(read, tmp_path / "out", "cleo")


def test_faults_in_an_archive_are_named_by_its_files(workspace, tmp_path):
    masks = folder_of(tmp_path / "masks", a__pond=POND)
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", masks)
    with pytest.raises(EarthReasonError, match=r"export\.zip/a__pond\.png: the image has no target"):
        imported(workspace, tmp_path / archive)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared is not here")
def test_the_80_real_masks_are_imported_as_they_are_published(tmp_path):
    options = ImportOptions(annotator="ana", read=ReadOptions(new_targets=True))
    import_all(tmp_path / "work", str(REAL / "images"), [REAL / "masks"], options)
    read = Workspace.open(tmp_path / "work")
    lines = (REAL / "manifest.jsonl").read_text().splitlines()
    stated = {target["mask"][6:-4]: target for image in map(json.loads, lines) for target in image["targets"]}
    drawings = {name: several[0] for name, several in read.drawings().items()}
    assert drawings.keys() == stated.keys()
    assert sum(target["empty"] for target in stated.values()) == 7
    for name, target in stated.items():
        published = np.asarray(Image.open(REAL / target["mask"])) != 0
        assert np.array_equal(drawings[name].mask, published)
        assert published.any() != target["empty"]
