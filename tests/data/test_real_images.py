"""Everything about data also runs on real overhead images (../shared/data), laid out as a release."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthreason import evaluate, load_dataset
from earthreason.data.audit.verify import audit
from earthreason.data.exports import FORMATS, export
from earthreason.data.reader import open_source
from earthreason.data.stats import collect
from earthreason.reports.browse import write_gallery
from earthreason.reports.figures import draw_figures
from earthreason.reports.samples import draw_samples
from tests.conftest import SHARED

REAL = SHARED / "data" / "real_samples"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    if not REAL.is_dir():
        pytest.skip("../shared/data is not here")
    root = tmp_path_factory.mktemp("real") / "release"
    rows = [json.loads(line) for line in (REAL / "manifest.jsonl").read_text().splitlines()]
    number = 0
    for row in rows:
        for target in row["targets"][:2]:
            split = ("train", "train", "val", "test")[number % 4]
            number += 1
            for part in ("images", "labels", "QAs"):
                (root / split / part).mkdir(parents=True, exist_ok=True)
            stem = f"{row['image_id']}__{target['target'].replace(' ', '_').replace('/', '_')}"
            image, mask = (next(REAL.rglob(Path(name).name)) for name in (row["image"], target["mask"]))
            shutil.copy(image, root / split / "images" / f"{stem}{image.suffix}")
            shutil.copy(mask, root / split / "labels" / f"{stem}.png")
            qa = {
                "questions": [f"Which ground here would serve as {target['target']}?"],
                "answer": [] if target["empty"] else [f"It is the {target['target']}."],
                "ground_resolution": row["gsd_m"],
                "source": row["source"],
            }
            (root / split / "QAs" / f"{stem}.json").write_text(json.dumps(qa))
    return root


def test_they_load_and_are_judged(release):
    rows = load_dataset("earthreason", data_dir=release, split="test")
    assert len(rows) >= 5
    truth = {row["sample_id"]: np.asarray(row["mask"]) > 0 for row in rows}
    assert evaluate(truth, rows, resamples=0)["gIoU"] > 0.9999


def test_the_audit_finds_only_what_the_layout_made(release):
    result = audit(release, workers=2)
    assert sum(result.counts.values()) == sum(1 for _ in release.rglob("labels/*"))
    # Two targets of one image are two samples here, so the same picture stands in the set twice.
    assert {finding.rule for finding in result.findings} <= {
        "duplicate",
        "near-duplicate",
        "shared question",
        "encoding",
    }
    assert any(finding.rule == "duplicate" for finding in result.findings)


@pytest.mark.parametrize("form", FORMATS)
def test_they_are_exported_and_read_back(release, tmp_path, form):
    source = open_source(release)
    export(source, form, tmp_path / form)
    again = open_source(tmp_path / form)
    assert again.counts == source.counts
    ours, theirs = next(iter(source.read("train"))), next(iter(again.read("train")))
    assert (ours.image, ours.questions, ours.source) == (theirs.image, theirs.questions, theirs.source)


def test_they_are_drawn_counted_and_browsed(release, tmp_path):
    source = open_source(release)
    draw_samples([next(iter(source.read("test")))], tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").width > 500
    statistics = collect(source)
    assert 0 < np.mean(statistics.redundancy) <= 1
    draw_figures(statistics, tmp_path / "figures")
    samples = write_gallery(source, tmp_path / "gallery").with_name("samples.js").read_text()
    assert samples.count('"picture":') == sum(source.counts.values())


def test_they_are_served_to_pytorch(release):
    torch = pytest.importorskip("earthreason.torch", reason="torch is not installed")

    rows = load_dataset("earthreason", data_dir=release, split="test")
    for item in torch.PixelReasoningDataset(rows, side=512):
        assert item["image"].shape == (3, 512, 512)
        assert item["mask"].shape == (512, 512)
