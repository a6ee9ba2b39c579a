"""Foreign files mean the masks that their own tools make of them, plain and in a ZIP archive.

`corpus/make_*.py` make the files and the masks; `by` in `corpus/expected-*.json` names the tool and its version.
"""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask

CORPUS = Path(__file__).parent / "corpus"
HEIGHT, WIDTH = 24, 32
CASES = [
    pytest.param(case, id=f"{case['path']}{''.join(f' {key}={value}' for key, value in case['options'].items())}")
    for file in sorted(CORPUS.glob("expected-*.json"))
    for case in json.loads(file.read_text())["cases"]
]


def check(path, case):
    tasks = {name: AnnotationTask(name, f"{name}.png", HEIGHT, WIDTH) for name in case["masks"]}
    reading = read_masks(path, tasks, ReadOptions(**case["options"]))
    found = {drawing.task: drawing for drawing in reading.drawings}
    masks = {name: found[name].segmentation["counts"] if name in found else None for name in tasks}
    assert masks == case["masks"]
    assert dict(reading.skipped) == case["skipped"]
    for name, several in case["targets"].items():
        assert sorted(target["counts"] for target in found[name].targets) == several


@pytest.mark.parametrize("case", CASES)
def test_a_foreign_file_means_the_masks_of_its_tool(case):
    check(CORPUS / case["path"], case)


@pytest.mark.parametrize("case", CASES)
def test_a_zip_archive_means_the_masks_of_what_is_in_it(case, tmp_path):
    path = CORPUS / case["path"]
    inside = tmp_path / "in" / "export"
    if path.is_dir():
        shutil.copytree(path, inside)
    else:
        inside.mkdir(parents=True)
        shutil.copy(path, inside)
    check(Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "in")), case)


def test_the_corpus_is_large_enough_to_matter():
    files = [path for path in CORPUS.rglob("*") if path.is_file() and path.parent != CORPUS]
    assert len(files) >= 60
