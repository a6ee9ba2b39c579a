"""LaSeRS: several masks per question, from RLEs of pycocotools to the score of the `lasers` protocol by hand."""

import io
import json
import logging

import numpy as np
import pytest
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from PIL import Image
from typer.testing import CliRunner

from earthreason import evaluate, load_dataset
from earthreason.cli.main import evaluate_app
from earthreason.data.exports import export
from earthreason.data.reader import open_source
from earthreason.data.sources.lasers import LaSeRS
from earthreason.errors import DataFormatError, EarthReasonError
from tests.data.fakes import lasers as fake

FILE = "test/annotations/test_reasoning.json"


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path / "LaSeRS")
    return tmp_path / "LaSeRS"


def pixels(picture):
    return np.asarray(picture) > 0


def read(folder, split="test"):
    source = LaSeRS(folder)
    source.tolerance = None
    records = {record.sample_id: record for record in source.read(split)}
    return records, {omission.sample: omission for omission in source.omissions}


def rewrite(folder, change, path=FILE):
    entries = json.loads((folder / path).read_text())
    changed = change(entries)
    (folder / path).write_text(json.dumps(changed if isinstance(changed, list) else entries))


def test_targets_are_the_masks_in_order_and_the_mask_is_their_union(folder):
    loaded = load_dataset("earthreason", "lasers", data_dir=folder)
    rows = {row["sample_id"]: row for split in loaded.values() for row in split}
    assert rows.keys() == fake.TARGETS.keys()
    for sample_id, names in fake.TARGETS.items():
        expected = [fake.mask_of(name) > 0 for name in names]
        assert np.array_equal(pixels(rows[sample_id]["mask"]), np.any(expected, axis=0))
        if len(names) == 1:
            assert rows[sample_id]["targets"] is None
        else:
            found = [pixels(target) for target in rows[sample_id]["targets"]]
            assert np.array_equal(found, expected)


def test_the_annotation_file_is_the_kind_of_reasoning_unless_its_name_says_nothing(folder):
    loaded = load_dataset("earthreason", "lasers", data_dir=folder)
    assert set(loaded["test"]["reasoning_type"]) == {"test_multi_target", "test_reasoning"}
    assert loaded["train"]["reasoning_type"] == [None]
    assert loaded["train"][0]["answers"] == ["It is [SEG]."]


# On 512 px, a mask grows by one pixel of the 1024 grid on each side of the truth, and doubles in the prediction:
# a perfect 10 x 10 px answer has 20 * 20 of 22 * 22 pixels.
PERFECT = {
    "a": 20 * 20 / 22**2,
    "b": 40 * 20 / (42 * 22),
    "c": 20 * 20 / 22**2,
    "d": 40 * 40 / 42**2,
    "e": 40 * 40 / 42**2,
}
MULTI, SECOND, SINGLE = list(fake.TARGETS)[1:]


def prediction(sample_id, names, listed=True):
    masks = [fake.compressed(name) for name in names]
    return {"sample_id": sample_id, "segmentation": (masks if listed else masks[0]) if masks else None}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({MULTI: "ab", SECOND: "cd", SINGLE: "e"}, [PERFECT[name] for name in "abcde"]),
        ({MULTI: "ba", SECOND: "c", SINGLE: "ea"}, [0, 0, PERFECT["c"], 0, PERFECT["e"]]),  # d gets c again
        ({MULTI: "", SECOND: "cde", SINGLE: "a"}, [0, 0, PERFECT["c"], PERFECT["d"], 0]),
    ],
)
def test_the_score_of_the_protocol_is_the_mean_over_masks_worked_by_hand(folder, tmp_path, answers, expected):
    first = score(folder, tmp_path, answers, "test")
    assert first["scores"]["gIoU"] == pytest.approx(sum(expected) / 5, abs=1e-9)
    groups = {group["group"]: (group["n"], group["gIoU"]) for group in first["breakdowns"]["reasoning_type"]}
    assert groups["test_multi_target"] == (4, pytest.approx(sum(expected[:4]) / 4, abs=1e-9))
    assert groups["test_reasoning"] == (1, pytest.approx(expected[4], abs=1e-9))


def test_targets_reach_the_judge_from_a_slice_and_a_single_mask_scores_alike_in_a_list_or_not(folder, tmp_path):
    answers = {MULTI: "ab", SECOND: "c", SINGLE: "e"}
    expected = pytest.approx((PERFECT["a"] + PERFECT["b"] + PERFECT["c"] + 0 + PERFECT["e"]) / 5, abs=1e-9)
    for listed in (True, False):
        for split in ("test", "test[:3]", "test[-3:]"):
            assert score(folder, tmp_path, answers, split, listed)["scores"]["gIoU"] == expected


def score(folder, tmp_path, answers, split, listed=True):
    predictions = tmp_path / "predictions.json"
    rows = [prediction(sample_id, names, listed or len(names) > 1) for sample_id, names in answers.items()]
    predictions.write_text(json.dumps(rows))
    options = ["--config", "lasers", "--data-dir", str(folder), "--split", split, "--protocol", "lasers", "--json", "-"]
    done = CliRunner().invoke(evaluate_app, [str(predictions), *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["results"][0]


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        (lambda e: e.__setitem__("mask", []), "another number of masks", "1 [SEG] for 0 masks"),
        (lambda e: e.__setitem__("answer", "Nothing."), "another number of masks", "0 [SEG] for 1 mask"),
        (lambda e: e.__setitem__("answer", "[SEG] [SEG]"), "another number of masks", "2 [SEG] for 1 mask"),
        (lambda e: e.__setitem__("image_name", "../../train/images/P1.jpg"), "leads outside", "outside of"),
        (lambda e: e.__setitem__("image_name", "/etc/passwd"), "leads outside", "outside of"),
        (lambda e: e.__setitem__("image_name", "C:\\P7.jpg"), "leads outside", "outside of"),
        (lambda e: e.__setitem__("image_name", "P9.jpg"), "no picture", "no picture 'P9.jpg'"),
        (lambda e: e.pop("id"), "no id", "'id' is a text"),
        (lambda e: e.pop("description"), "no description", "'description' is a text"),
        (lambda e: e.__setitem__("description", "\ud800"), "broken description", "UTF-8"),
        (lambda e: e["mask"][0].__setitem__("size", [256, 512]), "another size", "the mask is 256x512"),
        (lambda e: e["mask"][0].__setitem__("size", [10**9, 10**9]), "another size", "is 512x512"),
        (lambda e: e["mask"][0].__setitem__("counts", "P"), "broken mask", "a mask is broken"),
        (lambda e: e["mask"][0].__setitem__("counts", [5, 5]), "broken mask", "do not fill the mask"),
        (lambda e: e["mask"][0].pop("counts"), "broken mask", "counts"),
        (lambda e: e.__setitem__("mask", [[0, 0, 1e12, 0, 5, 5]]), "broken polygon", "far outside"),
        (lambda e: e.__setitem__("mask", [["x"]]), "broken polygon", "list of coordinates"),
        (lambda e: e.__setitem__("mask", None), "broken data", "not a sample of LaSeRS"),
    ],
)
def test_one_broken_sample_is_left_out_with_a_reason_and_the_others_load(folder, change, reason, said):
    whole, _ = read(folder)
    rewrite(folder, lambda entries: change(entries[0]) and None)
    records, left_out = read(folder)
    assert whole.keys() - records.keys() == {SINGLE}
    (omission,) = left_out.values()
    assert omission.sample == "test_reasoning.json[0]"
    assert reason in omission.reason
    assert said in omission.message
    assert "test_reasoning.json[0]" in omission.message
    assert "\n" not in omission.message


@pytest.mark.parametrize("entry", [None, 5, "text", []])
def test_an_entry_that_is_no_object_is_left_out(folder, entry):
    rewrite(folder, lambda entries: [entry, *entries])
    records, left_out = read(folder)
    assert list(left_out) == ["test_reasoning.json[0]"]
    assert SINGLE in records


def test_surplus_masks_are_left_out_as_the_evaluator_does_and_noted(folder):
    rewrite(folder, lambda entries: entries[0]["mask"].append(fake.compressed("a")))
    record = read(folder)[0][SINGLE]
    assert record.targets is None
    assert json.loads(record.extra) == {"surplus_masks": 1}


def test_polygons_and_a_single_rle_are_masks_too(folder):
    square = [100, 100, 110, 100, 110, 110, 100, 110]

    def change(entries):
        entries[0] |= {"answer": "[SEG] [SEG] [SEG]", "mask": [square, [square], fake.compressed("b")]}
        entries.append(entries[0] | {"id": "one", "answer": "[SEG]", "mask": fake.compressed("b")})

    rewrite(folder, change)
    records, _ = read(folder)
    targets = [pixels(Image.open(io.BytesIO(target))) for target in records[SINGLE].targets]
    assert np.array_equal(targets, [fake.mask_of("a") > 0, fake.mask_of("a") > 0, fake.mask_of("b") > 0])
    assert records["lasers_test_test_reasoning_one"].targets is None


def test_an_answer_without_masks_has_no_target(folder):
    rewrite(folder, lambda entries: entries[0].update(answer="There is none.", mask=[]))
    record = read(folder)[0][SINGLE]
    assert (record.is_empty, record.answers, record.targets) == (True, [], None)


def test_equal_ids_are_kept_apart_and_numbered_within_their_file(folder):
    rewrite(folder, lambda entries: [entries[0], entries[0], entries[0]])
    records, left_out = read(folder)
    assert [i for i in records if "reasoning" in i] == [SINGLE, f"{SINGLE}#2", f"{SINGLE}#3"]
    assert not left_out


def test_ids_stay_the_same_when_other_files_and_splits_are_absent(folder):
    (folder / "test/annotations/test_multi_target.json").unlink()
    (folder / "train/annotations/train_ann.json").unlink()
    assert list(read(folder)[0]) == [SINGLE]


def hide(folder, path):
    rewrite(folder, lambda entries: [entry.pop("mask") for entry in entries] and None, path)


def test_a_file_with_hidden_labels_among_others_is_not_read_and_the_log_says_so(folder, caplog):
    hide(folder, FILE)
    with caplog.at_level(logging.WARNING):
        source = LaSeRS(folder)
    assert source.counts == {"train": 1, "test": 2}
    assert f"{folder / FILE}: no entry has a mask" in caplog.text


def test_a_split_with_hidden_labels_loads_for_predictions_and_is_refused_by_the_judge(folder, tmp_path):
    for path in list(fake.files())[1:]:
        hide(folder, path)
    loaded = load_dataset("earthreason", "lasers", data_dir=folder)
    assert np.array_equal(pixels(loaded["train"][0]["mask"]), fake.mask_of("a") > 0)
    assert loaded["test"]["sample_id"] == [MULTI, SECOND, SINGLE]
    row = loaded["test"][0]
    assert (row["mask"], row["targets"], row["is_empty"]) == (None, None, None)
    assert (row["image"].size, row["questions"]) == ((fake.SIDE, fake.SIDE), ["Which is 7?"])
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps([prediction(MULTI, "ab")]))
    done = CliRunner().invoke(evaluate_app, [str(predictions), "--config", "lasers", "--data-dir", str(folder)])
    assert isinstance(done.exception, EarthReasonError)
    assert "labels are hidden" in str(done.exception)


@pytest.mark.parametrize("form", ["release", "coco", "webdataset"])
def test_a_hidden_label_is_never_exported_as_an_empty_target(folder, tmp_path, form):
    for path in fake.files():
        hide(folder, path)
    with pytest.raises(DataFormatError, match="labels are hidden"):
        export(open_source(folder), form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_mask_among_others_leaves_out_that_sample(folder):
    rewrite(folder, lambda entries: entries[0].pop("mask") and None, "test/annotations/test_multi_target.json")
    records, left_out = read(folder)
    assert records.keys() == {SECOND, SINGLE}
    assert left_out["test_multi_target.json[0]"].reason == "no mask"


def test_a_picture_is_found_whatever_its_case_and_suffix_but_not_if_there_are_two(folder):
    images = folder / "test" / "images"
    assert (images / "P7.JPG").is_file()  # the annotation says P7.jpg
    Image.open(images / "P7.JPG").save(images / "P7.png")
    assert len(read(folder)[0]) == 3
    (images / "P7.JPG").unlink()
    assert len(read(folder)[0]) == 3
    Image.open(images / "P7.png").save(images / "p7.tif")
    records, left_out = read(folder)
    assert records.keys() == {SECOND}
    assert {omission.reason for omission in left_out.values()} == {"several pictures"}


def test_half_a_character_in_a_key_that_is_kept_does_not_stop_the_set(folder):
    rewrite(folder, lambda entries: entries[0].__setitem__("note", "\ud800"))
    rows = load_dataset("earthreason", "lasers", data_dir=folder, split="test")
    assert json.loads(rows[2]["extra"]) == {"note": "\ud800"}


def test_scoring_in_a_program_of_ones_own_shows_no_bars_of_inner_steps(folder, tmp_path, capfd):
    rows = load_dataset("earthreason", "lasers", data_dir=folder)["train"]
    predictions = {"predictions": [{"sample_id": rows["sample_id"][0], "segmentation": None}]}
    (tmp_path / "preds.json").write_text(json.dumps(predictions))
    were_off = are_progress_bars_disabled()
    enable_progress_bars()
    capfd.readouterr()
    try:
        evaluate(tmp_path / "preds.json", rows, "lasers", resamples=0)
        assert not are_progress_bars_disabled()
    finally:
        if were_off:
            disable_progress_bars()
    assert capfd.readouterr() == ("", "")
