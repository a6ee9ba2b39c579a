"""Every form samples are written in gives the same records back."""

import io
import json
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.data.exports import FORMATS, export
from earthreason.data.reader import open_source
from earthreason.data.schema import Record
from earthreason.errors import DataFormatError, EarthReasonError, UnknownNameError
from tests.conftest import write_sample
from tests.data.memory import Memory, box, picture, png, sample, several

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30)
NAMES = st.text(alphabet=string.ascii_letters + string.digits + "_-é", min_size=1, max_size=20)
MANY = [form for form in FORMATS if form != "release"]
"""Formats with a place for ignored pixels and several targets."""


@st.composite
def records(draw, *, many):
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    masks = [rng.random((height, width)) < draw(st.sampled_from([0, 0.5, 1])) for _ in range(draw(st.integers(1, 3)))]
    ignore = rng.random((height, width)) < 0.5
    has_targets = many and draw(st.booleans())
    mask = np.logical_or.reduce(masks) if has_targets else masks[0]
    known = st.none() | TEXT
    return Record(
        sample_id=draw(NAMES),
        image=picture(height, width, draw(st.sampled_from(["JPEG", "PNG"]))),
        mask=png(mask),
        height=height,
        width=width,
        is_empty=not mask.any(),
        questions=draw(st.lists(TEXT.filter(str.strip), min_size=1, max_size=3)),
        answers=draw(st.lists(TEXT, max_size=2)),
        category=draw(known),
        ground_resolution=draw(st.none() | st.floats(0.1, 200)),
        source=draw(known),
        reasoning_type=draw(known),
        extra=draw(st.sampled_from([None, '{"bbox_list": [[1, 2, 3, 4]]}'])),
        ignore=png(ignore) if many and ignore.any() and draw(st.booleans()) else None,
        targets=[png(mask) for mask in masks] if has_targets else None,
    )


def unique(found):
    return list({record.sample_id.lower(): record for record in found}.values())


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_round_trips(tmp_path_factory, form, data):
    kind = records(many=form in MANY)
    splits = {"train": unique(data.draw(st.lists(kind, min_size=1, max_size=4)))}
    taken = {record.sample_id.lower() for record in splits["train"]}
    splits["test"] = [
        record
        for record in unique(data.draw(st.lists(kind, min_size=1, max_size=3)))
        if record.sample_id.lower() not in taken
    ]
    if not splits["test"]:
        return
    out = tmp_path_factory.mktemp("export") / "set"
    export(Memory(splits), form, out)
    again = open_source(out)
    assert again.name == ("parquet" if form == "hub" else form)  # one kind of files, with another card
    for split, expected in splits.items():
        found = {record.sample_id: record for record in again.read(split)}
        assert found.keys() == {record.sample_id for record in expected}
        for record in expected:
            assert decoded(found[record.sample_id]) == decoded(record)


def decoded(record):
    """Columns with the pixels of the masks; the picture as it is encoded."""
    targets = None if record.targets is None else [pixels(target) for target in record.targets]
    masks = {"mask": pixels(record.mask), "ignore": record.ignore and pixels(record.ignore), "targets": targets}
    return vars(record) | masks


def pixels(content):
    mask = np.asarray(Image.open(io.BytesIO(content)))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    return mask.tolist()


@pytest.mark.parametrize("form", MANY)
def test_a_configuration_reads_the_targets_and_ignored_pixels_of_an_export(tmp_path, form):
    export(Memory(several()), form, tmp_path / "out")
    loaded = load_dataset("earthreason", data_dir=tmp_path / "out")
    row = loaded["train"][1]
    assert [np.asarray(target).tolist() for target in row["targets"]] == [
        np.where(mask, 255, 0).tolist() for mask in (box(5, 10, 15, 25), box(2, 3, 7, 13))
    ]
    assert np.argwhere(np.asarray(row["ignore"])).tolist() == np.argwhere(box(16, 0, 20, 9)).tolist()
    assert loaded["train"]["ignore"][0] is None
    assert [np.asarray(target).any() for target in loaded["test"][1]["targets"]] == [False, True]


@pytest.mark.parametrize(
    ("columns", "words"),
    [({"targets": [png(box(1, 1, 3, 3))]}, "separate masks"), ({"ignore": png(box(1, 1, 3, 3))}, "ignored pixels")],
)
def test_the_layout_of_the_release_refuses_what_it_has_no_place_for(tmp_path, columns, words):
    with pytest.raises(EarthReasonError, match=f"'x' has {words}.*export as parquet, coco or webdataset"):
        export(Memory({"train": [sample("x", box(1, 1, 3, 3), **columns)]}), "release", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", MANY)
def test_an_export_can_be_scored_against(release, tmp_path, form):
    export(open_source(release), form, tmp_path / form)
    rows = load_dataset("earthreason", data_dir=tmp_path / form, split="test")
    assert rows["sample_id"] == load_dataset("earthreason", data_dir=release, split="test")["sample_id"]


def test_the_texts_of_an_export_begin_with_the_id(release, tmp_path):
    export(open_source(release), "coco", tmp_path / "out")
    image = json.loads((tmp_path / "out" / "annotations" / "test.json").read_text())["images"][0]
    first = ["sample_id", "height", "width", "is_empty", "questions", "answers"]
    assert list(image["earthreason"]) == [
        *first,
        "category",
        "ground_resolution",
        "source",
        "reasoning_type",
        "unseen",
        "extra",
    ]


def test_exports_refuse_what_they_cannot_do(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'coco'"):
        export(Memory(several()), "cocoo", tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(EarthReasonError, match="already exists"):
        export(Memory(several()), "coco", tmp_path / "full")
    bad = sample("a/b", box(0, 0, 2, 2))
    with pytest.raises(EarthReasonError, match="is not a valid file name"):
        export(Memory({"train": [bad]}), "release", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


# Samples that the source leaves out


@pytest.fixture
def broken(tmp_path):
    """A release of 100 training samples, of which one has no questions."""
    root = tmp_path / "broken"
    for number in range(100):
        write_sample(root / "train", f"{number:03d}", size=(16, 16))
    (root / "train" / "QAs" / "042.json").write_text("{")
    return root


@pytest.mark.parametrize("form", FORMATS)
def test_every_export_lists_what_its_source_left_out(broken, tmp_path, form):
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["export", str(broken), "--format", form, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"{out}: train 99" in result.output
    assert "1 sample left out (train: 1 unreadable questions (042))" in result.output
    listed = json.loads((out / "left_out.json").read_text())
    assert listed["samples"] == {"train": 100}
    assert [(each["split"], each["sample"]) for each in listed["left_out"]] == [("train", "042")]
    again = open_source(out)
    assert again.counts == {"train": 99}
    assert "042" not in {record.sample_id for record in again.read("train")}


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_of_too_many_broken_samples_leaves_nothing_behind(broken, tmp_path, form):
    for stem in ("050", "051"):
        (broken / "train" / "QAs" / f"{stem}.json").write_text("{")
    with pytest.raises(DataFormatError, match=r"3 of 100 samples of train \(3.0%\) cannot be read"):
        export(open_source(broken), form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
