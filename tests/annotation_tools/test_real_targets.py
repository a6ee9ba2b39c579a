"""80 real masks of 40 images in one workspace, drawn by two people, through every export that others read."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from annotation_tools.exports import export_workspace
from annotation_tools.imports import ImportOptions, import_all
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.quality.agreement import measure_quality
from annotation_tools.workspace import Workspace
from earthreason.data.audit.records import audit_source
from earthreason.data.audit.verify import audit
from earthreason.data.reader import open_source
from tests.conftest import SHARED

REAL = SHARED / "data" / "real_samples"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="../shared is not here")


@pytest.fixture(scope="module")
def masks():
    """The masks as they are published, by task."""
    return {path.stem: np.asarray(Image.open(path)) != 0 for path in sorted((REAL / "masks").glob("*.png"))}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A workspace in which two people drew the same, and whose consensus is made."""
    folder = tmp_path_factory.mktemp("real")
    for part in ("images", "masks"):
        shutil.copytree(REAL / part, folder / part, copy_function=shutil.copyfile)
    rows = [
        {
            "id": Path(target["mask"]).stem,
            "image": image["image"],
            "mask": target["mask"],
            "problem": f"Where is {target['target']}?",
            "category": target["target"],
        }
        for image in map(json.loads, (REAL / "manifest.jsonl").read_text().splitlines())
        for target in image["targets"]
    ]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    import_all(folder / "work", str(folder / "test.jsonl"), (), ImportOptions(annotator="anna"))
    workspace = Workspace.open(folder / "work")
    workspace.add_drawings(replace(d, annotator="ben") for several in workspace.drawings().values() for d in several)
    workspace.add_tasks([replace(task, answers=["There."]) for task in workspace.tasks.values()])
    workspace.write_consensus(adjudicate(workspace.drawings(), Rules(min_drawings=2)))
    return workspace


@pytest.mark.parametrize("form", ["release", "parquet", "coco"])
def test_exports_are_verified_without_an_error(work, tmp_path, form):
    assert export_workspace(work, form, tmp_path / "out").counts == {"test": 80}
    out = tmp_path / "out"
    result = audit(out) if form == "release" else audit_source(open_source(out), out)
    assert [found for found in result.findings if found.severity == "error"] == []


def test_the_exported_masks_score_full_marks_against_the_export(work, tmp_path):
    export_workspace(work, "release", tmp_path / "out")
    command = [sys.executable, "-m", "earthreason", "eval", str(tmp_path / "out" / "test" / "labels")]
    command += ["--data-dir", str(tmp_path / "out"), "--json", str(tmp_path / "scores.json")]
    subprocess.run(command, check=True, capture_output=True)
    scored = json.loads((tmp_path / "scores.json").read_text())["results"][0]
    assert (scored["questions"], scored["empty_targets"]) == (80, 7)
    assert {scored["scores"][name] for name in ("cIoU", "Pr@0.9", "N-acc", "T-acc")} == {1}


def test_pycocotools_reads_the_published_masks(work, masks, tmp_path):
    export_workspace(work, "coco", tmp_path / "out")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "out" / "annotations" / "test.json")
    read = {}
    for image in coco.imgs.values():
        name = image["earthreason"]["sample_id"]
        read[name] = np.zeros(masks[name].shape, bool)
        for number in coco.getAnnIds([image["id"]]):
            read[name] |= coco.annToMask(coco.anns[number]).astype(bool)
    assert read.keys() == masks.keys()
    assert all(np.array_equal(read[name], mask) for name, mask in masks.items())


@pytest.mark.parametrize(
    ("form", "file"), [("cvat", "annotations.xml"), ("labelme", ""), ("labelstudio", "tasks.json")]
)
def test_tools_get_each_picture_once_and_their_files_are_read_back(work, masks, tmp_path, form, file):
    export_workspace(work, form, tmp_path / "out")
    pictures = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".jpg", ".png")]
    assert len(pictures) == len({task.picture for task in work.tasks.values()})
    again = Workspace(tmp_path / "again")
    shutil.copytree(work.root / "images", again.root / "images")
    again.add_tasks(work.tasks.values())
    import_all(again.root, None, [tmp_path / "out" / file], ImportOptions(annotator="cleo"))
    read = again.drawings()
    assert read.keys() == masks.keys()
    assert all(np.array_equal(read[name][0].mask, mask) for name, mask in masks.items())


def test_two_people_who_drew_the_same_agree_on_all_80(work):
    quality = measure_quality(work)
    assert (quality.images, quality.iou[0], quality.distance) == (80, 1, 0)
