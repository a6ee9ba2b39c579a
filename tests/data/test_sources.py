"""Every form samples are written in gives the same records back."""

import io
import json
import pickle
import string

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.data.about import OFFICIAL, OWN_DATA
from earthreason.data.croissant import describe
from earthreason.data.exports import FORMATS, about_of, export, push_to_hub
from earthreason.data.pictures import mask_of
from earthreason.data.prepared import write_prepared
from earthreason.data.reader import find_records, open_source, read_all
from earthreason.data.schema import Record
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import encode_mask
from tests.conftest import Bomb
from tests.data.faults import fault_in

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30)
NAMES = st.text(alphabet=string.ascii_letters + string.digits + "_-é", min_size=1, max_size=20)


class Memory:
    name = "memory"

    def __init__(self, splits):
        self._splits = splits
        self.counts = {split: len(records) for split, records in splits.items()}

    def read(self, split):
        return iter(self._splits[split])


def picture(height, width, form="JPEG"):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(height * width).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@st.composite
def records(draw):
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    mask = np.random.default_rng(draw(st.integers(0, 99))).random((height, width)) < draw(st.sampled_from([0, 0.5, 1]))
    known = st.none() | TEXT
    return Record(
        sample_id=draw(NAMES),
        image=picture(height, width, draw(st.sampled_from(["JPEG", "PNG"]))),
        mask=encode_mask_png(mask),
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
    )


def unique(found):
    return list({record.sample_id.lower(): record for record in found}.values())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=st.lists(records(), min_size=1, max_size=4), test=st.lists(records(), min_size=1, max_size=3))
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_round_trips(tmp_path_factory, form, train, test):
    splits = {"train": unique(train), "test": unique(test)}
    taken = {record.sample_id.lower() for record in splits["train"]}
    splits["test"] = [record for record in splits["test"] if record.sample_id.lower() not in taken]
    if not splits["test"]:
        return
    out = tmp_path_factory.mktemp("export") / "set"
    export(Memory(splits), form, out)
    again = open_source(out)
    assert again.name == form
    for split, expected in splits.items():
        found = {record.sample_id: record for record in again.read(split)}
        assert found.keys() == {record.sample_id for record in expected}
        for record in expected:
            assert same(found[record.sample_id], record)


def same(found, expected):
    pictures = found.image == expected.image and np.array_equal(mask_of(found.mask, "a"), mask_of(expected.mask, "a"))
    facts = [{k: v for k, v in vars(r).items() if k not in ("image", "mask")} for r in (found, expected)]
    return pictures and facts[0] == facts[1]


def test_a_parquet_export_loads_without_this_package(tmp_path):
    import subprocess
    import sys

    out = tmp_path / "sample"
    export(open_source("sample"), "parquet", out)
    code = (
        f"import datasets; d = datasets.load_dataset({str(out)!r}, split='test'); print(len(d), d[3]['questions'][0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    ours = load_dataset("earthreason", "sample", split="test")
    assert done.stdout.strip() == f"{len(ours)} {ours[3]['questions'][0]}"


def test_croissant_metadata_is_valid_and_its_records_can_be_read(tmp_path):
    out = tmp_path / "sample"
    export(open_source("sample"), "parquet", out)
    described = mlcroissant.Dataset(jsonld=out / "croissant.json")
    assert not described.metadata.ctx.issues.errors
    first = next(iter(described.records("test")))
    expected = next(iter(open_source(out).read("test")))
    assert first["test/sample_id"] == expected.sample_id.encode()
    assert first["test/height"] == expected.height


def test_an_export_of_ones_own_data_claims_nothing_of_the_official_release(release, tmp_path):
    source = open_source(release)
    export(source, "parquet", tmp_path / "own")
    export(source, "parquet", tmp_path / "named", about=about_of(source).stated("Harbours", "CC-BY-4.0"))
    for name, title, licence in (("own", OWN_DATA.title, "unknown"), ("named", "Harbours", "CC-BY-4.0")):
        card = (tmp_path / name / "README.md").read_text()
        metadata = json.loads((tmp_path / name / "croissant.json").read_text())
        assert f"license: {licence.lower()}\n" in card
        assert f"# {title}\n" in card
        assert (metadata["name"], metadata["license"]) == (title, licence)
        assert not {"url", "creator", "citeAs", "datePublished"} & set(metadata)
        for claim in ("Apache", "Million-AID", "2504.09644", "earth-insights"):
            assert claim not in card + json.dumps(metadata)
        assert not mlcroissant.Dataset(jsonld=tmp_path / name / "croissant.json").metadata.ctx.issues.errors


def test_card_and_metadata_of_the_official_release_say_the_same(tmp_path):
    (tmp_path / "set").mkdir()
    card = write_card(tmp_path / "card", OFFICIAL)
    metadata = describe(tmp_path / "set", "Images.", OFFICIAL)
    assert OFFICIAL.licence in card
    assert "license: other\n" in card
    assert (metadata["license"], metadata["url"]) == (OFFICIAL.licence, OFFICIAL.url)


def write_card(folder, about):
    write_prepared(folder, "default", {}, {}, about=about)
    return (folder / "README.md").read_text()


def test_a_failed_upload_names_the_command_that_goes_on(tmp_path):
    with pytest.raises(EarthReasonError, match=f"hf upload me/mine {tmp_path} --repo-type dataset"):
        push_to_hub(tmp_path, "me/mine")


def test_the_folder_of_a_download_is_a_release_whatever_json_lies_beside_it(release):
    (release / "download.json").write_text("{}")
    source = open_source(release)
    assert (source.name, source.counts["train"]) == ("release", 3)


@pytest.mark.parametrize("form", ["parquet", "coco", "webdataset"])
def test_an_export_can_be_scored_against(release, tmp_path, form):
    export(open_source(release), form, tmp_path / form)
    rows = load_dataset("earthreason", data_dir=tmp_path / form, split="test")
    assert rows["sample_id"] == load_dataset("earthreason", data_dir=release, split="test")["sample_id"]


def test_the_texts_of_an_export_begin_with_the_id(release, tmp_path):
    export(open_source(release), "coco", tmp_path / "out")
    image = json.loads((tmp_path / "out" / "annotations" / "test.json").read_text())["images"][0]
    first = ["sample_id", "height", "width", "is_empty", "questions", "answers"]
    assert list(image["earthreason"]) == [*first, "category", "ground_resolution", "source", "reasoning_type", "extra"]


def test_exports_refuse_what_they_cannot_do(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'coco'"):
        export(open_source("sample"), "cocoo", tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(EarthReasonError, match="already exists"):
        export(open_source("sample"), "coco", tmp_path / "full")
    bad = Record("a/b", picture(4, 4), encode_mask_png(np.ones((4, 4), bool)), 4, 4, False, ["why?"])
    with pytest.raises(EarthReasonError, match="is not a valid file name"):
        export(Memory({"train": [bad]}), "release", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_earthreason_fs_rows_are_read_by_field_name(tmp_path):
    mask = np.eye(8, dtype=bool)
    row = {
        "id": "EarthReason_0826_0",
        "image": {"bytes": picture(8, 8), "path": "a.jpg"},
        "mask": {"bytes": encode_mask_png(mask), "path": "a.png"},
        "problem": "Where?",
        "category": "lake",
        "bbox_list": [[0, 0, 8, 8]],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "val-00000.parquet")
    ((split, record),) = read_all(open_source(tmp_path))
    assert (split, record.sample_id) == ("validation", "EarthReason_0826_0")
    assert (record.questions, record.category) == (["Where?"], "lake")
    assert json.loads(record.extra) == {"bbox_list": [[0, 0, 8, 8]]}
    assert np.array_equal(mask_of(record.mask, "a"), mask)


def test_jsonl_derivatives_name_pictures_beside_them(tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(8, 6))
    (tmp_path / "a.png").write_bytes(encode_mask_png(np.ones((8, 6), bool)))
    row = {"id": "x", "image": "a.jpg", "mask": "a.png", "problem": "Where?", "category": None}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n\n")
    ((split, record),) = read_all(open_source(tmp_path / "train.jsonl"))
    assert (split, record.height, record.width) == ("train", 8, 6)
    (tmp_path / "train.jsonl").write_text(json.dumps({**row, "mask": "../secret.png"}))
    assert "points outside" in fault_in(tmp_path / "train.jsonl")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataNotFoundError, match="sample"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataNotFoundError, match="known files"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(EarthReasonError, match="nearest: 'synthetic_s7_"):
        find_records(open_source("sample"), ["synthetic_s7_test_00003"])


# Referring sets


def rrsisd(root, segmentation, **changes):
    images = root / "images" / "rrsisd" / "JPEGImages"
    images.mkdir(parents=True)
    (root / "rrsisd").mkdir()
    (images / "00007.jpg").write_bytes(picture(20, 30))
    sentence = {"raw": "The ship", "sent": "the ship", "tokens": [], "sent_id": 1}
    reference = {"ref_id": 3, "ann_id": 5, "image_id": 7, "category_id": 2, "split": "train", "sentences": [sentence]}
    reference.update(changes)
    with (root / "rrsisd" / "refs(unc).p").open("wb") as file:
        pickle.dump([reference], file, protocol=2)
    instances = {
        "images": [{"id": 7, "file_name": "00007.jpg"}],
        "annotations": [{"id": 5, "image_id": 7, "category_id": 2, "segmentation": segmentation}],
        "categories": [{"id": 2, "name": "ship"}],
    }
    (root / "rrsisd" / "instances.json").write_text(json.dumps(instances))
    return root


SQUARE = np.zeros((20, 30), bool)
SQUARE[4:10, 5:15] = True


@pytest.mark.parametrize(
    "segmentation",
    [
        [[5, 4, 15, 4, 15, 10, 5, 10]],
        [dict(encode_mask(SQUARE))],
        dict(encode_mask(SQUARE)),
        [dict(encode_mask(SQUARE)), dict(encode_mask(SQUARE))],
        {"size": [20, 30], "counts": [104, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 310]},
    ],
)
def test_rrsisd_masks_of_every_form_are_the_same(tmp_path, segmentation):
    rows = load_dataset("earthreason", "rrsis-d", data_dir=rrsisd(tmp_path / "set", segmentation), split="train")
    assert rows[0]["questions"] == ["The ship"]
    assert rows[0]["category"] == "ship"
    assert np.array_equal(np.asarray(rows[0]["mask"]) > 0, SQUARE)


@pytest.mark.parametrize(
    ("segmentation", "changes", "words"),
    [
        ([[5, 4, 15, 4, 15, 10, 5, 10]], {"image_id": 8}, "8 is missing"),
        ([[5, 4, 15, 4, 15, 10, 5, 10]], {"ann_id": 8}, "8 is missing"),
        ({"size": [20, 31], "counts": "0"}, {}, "reference 3"),
        ({"size": [20, 30], "counts": "zz"}, {}, "reference 3"),
        ({"size": [20, 30], "counts": [5, 5]}, {}, "do not fill"),
        ("nonsense", {}, "reference 3"),
    ],
)
def test_broken_rrsisd_is_named(tmp_path, segmentation, changes, words):
    source = open_source(rrsisd(tmp_path / "set", segmentation, **changes))
    with pytest.raises(DataFormatError, match=words):
        list(source.read("train"))


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path):
    root = rrsisd(tmp_path / "set", [[5, 4, 15, 4, 15, 10]])
    with (root / "rrsisd" / "refs(unc).p").open("wb") as file:
        pickle.dump([Bomb(tmp_path / "ran")], file)
    with pytest.raises(DataFormatError, match="nothing in it was run"):
        open_source(root)
    assert not (tmp_path / "ran").exists()


def refsegrs(root, lines="17 the road\n17 vehicles on it\n"):
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    Image.open(io.BytesIO(picture(12, 12))).save(root / "images" / "17.tif")
    Image.fromarray(np.eye(12, dtype=np.uint8) * 255).save(root / "masks" / "17.tif")
    for split in ("train", "val", "test"):
        (root / f"output_phrase_{split}.txt").write_text(lines)
    return root


def test_refsegrs_has_a_sample_for_every_phrase(tmp_path):
    loaded = load_dataset("earthreason", "refsegrs", data_dir=refsegrs(tmp_path / "set"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 2, "validation": 2, "test": 2}
    assert loaded["validation"][1]["questions"] == ["vehicles on it"]
    ids = [name for rows in loaded.values() for name in rows["sample_id"]]
    assert len(set(ids)) == 6
    assert np.array_equal(np.asarray(loaded["train"][0]["mask"]) > 0, np.eye(12, dtype=bool))


def test_a_line_that_is_no_phrase_is_named(tmp_path):
    with pytest.raises(DataFormatError, match="train.txt line 2"):
        open_source(refsegrs(tmp_path / "set", "17 road\nroad without number\n"))


def test_a_missing_tif_is_named(tmp_path):
    with pytest.raises(DataFormatError, match=r"18\.tif is missing"):
        list(open_source(refsegrs(tmp_path / "set", "18 road\n")).read("train"))


def test_reasonseg_shapes_are_drawn_by_falling_area(tmp_path):
    folder = tmp_path / "set" / "val"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(picture(40, 40))
    shapes = [
        {"label": "ignore", "points": [[10, 10], [19, 10], [19, 19], [10, 19]]},
        {"label": "target", "points": [[0, 0], [30, 0], [30, 30], [0, 30]]},
        {"label": "flag", "points": [[35, 35], [39, 35], [39, 39]]},
    ]
    content = {"text": ["where – exactly?"], "is_sentence": True, "shapes": shapes}
    (folder / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode("cp1252"))
    rows = load_dataset("earthreason", "reasonseg", data_dir=tmp_path / "set", split="validation")
    mask = np.asarray(rows[0]["mask"]) > 0
    assert rows[0]["questions"] == ["where – exactly?"]
    assert mask[5, 5]
    assert not mask[15, 15]
    assert not mask[36, 38]


def test_referring_sets_need_a_folder():
    with pytest.raises(DataNotFoundError, match="--config rrsis-d --data-dir FOLDER.*data_dir=FOLDER"):
        load_dataset("earthreason", "rrsis-d")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"junk"),
        ("a.tar", b"junk"),
        ("a.json", b"{"),
        ("a.json", b'{"images": 3}'),
        ("a.json", b'{"images": [{"id": 1}], "annotations": []}'),
        ("a.json", b'{"images": [{"id": 1, "height": 4, "width": 4, "file_name": "../../x.jpg"}], "annotations": []}'),
        ("a.jsonl", b"{"),
        ("a.jsonl", b'{"id": "a"}'),
        ("a.jsonl", b"[]"),
    ],
)
def test_a_broken_file_is_named_whatever_is_wrong_with_it(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    fault = fault_in(tmp_path / name)
    assert fault
    assert name in fault or "jsonl" in name


def test_parquet_of_something_else_is_named(tmp_path):
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "a.parquet")
    assert "no field" in fault_in(tmp_path)


def test_a_folder_that_is_taken_is_refused_before_anything_is_drawn(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for command in (["stats", "sample"], ["browse", "sample"], ["export", "sample", "--format", "coco"]):
        result = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
        assert isinstance(result.exception, EarthReasonError)
        assert "already exists" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
