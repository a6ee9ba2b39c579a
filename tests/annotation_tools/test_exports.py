import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation_tools.errors import DrawingError
from annotation_tools.exports import TOOLS, export_workspace
from annotation_tools.imports import ImportOptions
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.release import AgreedSamples
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan, ReviewJudgement
from annotation_tools.review.verdicts import review_outcome
from annotation_tools.reviewed import JudgedSample, ReviewOutcome, mask_hash
from annotation_tools.workspace import Workspace
from earthreason.data.audit.verify import audit
from earthreason.data.pictures import mask_of
from earthreason.data.reader import open_source, read_all
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.questions.settlement import LeftOut, PersonVerdict, parse_time, settle_sample

from .conftest import box, drawn, import_images, import_masks

SIZE = (20, 30)
RING = box(SIZE, 2, 2, 14, 20) & ~box(SIZE, 5, 5, 9, 9)
MASKS = {"a": RING, "b": box(SIZE, 0, 0, 1, 1), "c": np.zeros(SIZE, bool), "d": np.ones(SIZE, bool)}


def errors_of(folder):
    """What verify finds, but for pictures that the fixture uses several times."""
    return [found for found in audit(folder).findings if found.severity == "error" and "duplicate" not in found.rule]


@pytest.fixture
def annotated(workspace):
    workspace.add_drawings(drawn(name, mask, "anna") for name, mask in MASKS.items())
    return workspace


@pytest.fixture
def with_questions(tmp_path, release):
    import_images(tmp_path / "asked", str(release), ImportOptions(annotator="expert"))
    return Workspace.open(tmp_path / "asked")


@pytest.mark.parametrize("form", ["cvat", "labelme", "labelstudio", "png"])
def test_what_is_written_for_a_tool_is_read_back_exactly(annotated, tmp_path, form):
    export_workspace(annotated, form, tmp_path / "out")
    other = Workspace(tmp_path / "other")
    import_images(other.root, str(tmp_path / "pictures"))
    source = tmp_path / "out" / {"cvat": "annotations.xml", "labelstudio": "tasks.json"}.get(form, "")
    import_masks(other.root, source, ImportOptions(annotator="anna"))
    for name, mask in MASKS.items():
        assert np.array_equal(other.drawings()[name][0].mask, mask)
        assert other.drawings()[name][0].category in ((None,) if name == "c" or form == "png" else ("pond",))


@pytest.mark.parametrize(("form", "where"), [("cvat", "images"), ("labelme", ""), ("labelstudio", "images")])
def test_pictures_for_tools_lie_as_their_masks_do(tmp_path, form, where):
    exif = Image.Exif()
    exif[0x0112] = 6  # these tools would turn it by 90 degrees
    (tmp_path / "in").mkdir()
    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "in" / "t.jpg", exif=exif)
    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "in" / "u.jpg")
    import_images(tmp_path / "work", str(tmp_path / "in"))
    workspace = Workspace.open(tmp_path / "work")
    workspace.add_drawings([drawn("t", RING, "anna"), drawn("u", RING, "anna")])
    export_workspace(workspace, form, tmp_path / "out")
    pictures = {path.stem: path for path in (tmp_path / "out" / where).iterdir() if path.suffix in (".png", ".jpg")}
    shown = Image.open(pictures["t"])
    assert (shown.size, shown.format, pictures["t"].suffix) == ((30, 20), "JPEG", ".jpg")
    assert 0x0112 not in shown.getexif()
    assert pictures["u"].read_bytes() == (tmp_path / "in" / "u.jpg").read_bytes()
    told = "".join(path.read_text() for path in (tmp_path / "out").iterdir() if path.suffix in (".json", ".xml"))
    assert all(path.relative_to(tmp_path / "out").as_posix() in told or path.name in told for path in pictures.values())


@pytest.mark.parametrize("form", ["coco", "parquet", "webdataset"])
def test_core_formats_hold_masks_category_and_who_made_them(annotated, tmp_path, form):
    export_workspace(annotated, form, tmp_path / "out")
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    assert list(records) == list(MASKS)
    assert records["a"].category == "pond"
    assert records["c"].is_empty
    (who,) = json.loads(records["a"].extra)["annotation"]["drawings"]
    assert who == {
        "annotator": "anna",
        "created": "2026-01-01T10:00:00Z",
        "seconds": 20.0,
        "tool": "test",
        "version": 1,
    }


def test_provenance_stands_beside_what_tools_read(annotated, tmp_path):
    export_workspace(annotated, "cvat", tmp_path / "out")
    first = json.loads((tmp_path / "out" / "provenance.jsonl").read_text().splitlines()[0])
    assert first["drawings"][0]["annotator"] == "anna"


def test_geojson_is_in_pixels_where_there_is_no_place(annotated, tmp_path):
    export_workspace(annotated, "geojson", tmp_path / "out")
    features = json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]
    assert len(features) == 1
    assert len(features[0]["geometry"]["coordinates"]) == 2  # the outline and the hole


def test_an_export_that_fails_leaves_nothing(annotated, tmp_path, monkeypatch):
    annotated.picture("d").unlink()
    for form in ("release", "parquet", "coco", *TOOLS):
        if form in ("png", "geojson"):
            continue
        with pytest.raises((OSError, EarthReasonError)):
            export_workspace(annotated, form, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_that_is_taken_is_left_alone(annotated, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(EarthReasonError, match="already exists"):
        export_workspace(annotated, "coco", tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "x"


def test_a_release_without_questions_says_how_to_get_some(annotated, tmp_path):
    with pytest.raises(EarthReasonError, match="4 samples have no questions.*earthreason questions generate"):
        export_workspace(annotated, "release", tmp_path / "out")


def test_two_annotators_must_be_adjudicated_or_one_be_named(annotated, tmp_path):
    annotated.add_drawings([drawn("a", ~RING, "ben")])
    with pytest.raises(
        EarthReasonError, match=r"1 image was drawn by several people \('a', \.\.\.\); run `adjudicate`"
    ):
        export_workspace(annotated, "coco", tmp_path / "out")
    export_workspace(annotated, "png", tmp_path / "ben", annotator="ben")
    assert [path.name for path in (tmp_path / "ben").glob("*.png")] == ["a.png"]
    with pytest.raises(EarthReasonError, match="'cleo' drew nothing; annotators: anna, ben"):
        export_workspace(annotated, "png", tmp_path / "cleo", annotator="cleo")


def test_what_waits_for_a_third_person_is_left_out_and_told(annotated, tmp_path):
    annotated.add_drawings([drawn("a", box(SIZE, 15, 20, 20, 30), "ben")])
    annotated.write_consensus(adjudicate(annotated.drawings(), Rules()))
    written = export_workspace(annotated, "coco", tmp_path / "out")
    assert (written.unsettled, written.counts) == (["a"], {"test": 3})


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_a_drawing_that_changed_after_adjudicate_is_not_exported_as_it_was(annotated, tmp_path, who):
    annotated.write_consensus(adjudicate(annotated.drawings(), Rules()))
    annotated.add_drawings([drawn("b", RING, who, created="2026-01-02T10:00:00Z")])
    with pytest.raises(EarthReasonError, match=r"1 image was drawn again, .* after `adjudicate` \('b', .*again$"):
        export_workspace(annotated, "png", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    annotated.write_consensus(adjudicate(annotated.drawings(), Rules(adjudicators=(who,))))
    export_workspace(annotated, "png", tmp_path / "out")
    assert np.array_equal(mask_of((tmp_path / "out" / "b.png").read_bytes(), tmp_path), RING)


def test_what_was_drawn_and_not_adjudicated_is_told_apart_from_what_nobody_drew(workspace, tmp_path):
    workspace.add_drawings([drawn("a", RING, "anna")])
    workspace.write_consensus(adjudicate(workspace.drawings(), Rules()))
    workspace.add_drawings([drawn("b", RING, "anna")])
    written = export_workspace(workspace, "png", tmp_path / "out")
    assert (written.unadjudicated, written.undrawn) == (["b"], ["c", "d"])
    written = export_workspace(workspace, "png", tmp_path / "anna", annotator="anna")
    assert (written.unadjudicated, written.undrawn) == ([], ["c", "d"])


def outcome_of(workspace, verdicts):
    """The outcome of verdicts (who, decision, text) on the questions and masks that the samples have now."""
    judged = {}
    for split, record in read_all(AgreedSamples(workspace)):
        by_number = {
            number: [PersonVerdict(who, parse_time(""), decision, *text) for who, decision, *text in given]
            for (name, number), given in verdicts.items()
            if name == record.sample_id
        }
        settled = settle_sample(record.questions, by_number)
        judged[split, record.sample_id] = JudgedSample(
            record.questions, mask_hash(record.mask, Path(record.sample_id)), settled
        )
    return ReviewOutcome(judged, frozenset(judged))


def reviewed_once(workspace, folder):
    """A review in which the first question about the first image was rejected."""
    store = open_review(str(workspace.root), folder, Plan(overlap=0, second_pass=0))
    item = store.item("anna")
    store.judge(
        ReviewJudgement(
            review=store.review,
            reviewer="anna",
            item=item.item,
            place=0,
            verdict="reject",
            reasons=["leak"],
            revision=0,
            key="key-0001",
        )
    )
    store.close()
    return review_outcome(folder)


def test_verdicts_are_not_applied_to_questions_or_masks_that_nobody_judged(with_questions, tmp_path):
    settled = reviewed_once(with_questions, tmp_path / "review")
    task = with_questions.tasks["a"]
    with_questions.add_tasks([replace(with_questions.tasks["b"], questions=["Nobody judged b?"])])
    export_workspace(with_questions, "release", tmp_path / "out", reviews=settled)
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    assert records["a"].questions == ["And where else?"]

    with_questions.add_tasks([replace(task, questions=["A better one?", *task.questions])])
    with pytest.raises(EarthReasonError, match="1 sample has changed since the review: 'a' has other questions"):
        export_workspace(with_questions, "release", tmp_path / "again", reviews=settled)
    with_questions.add_tasks([task])
    mask = np.ones((task.height, task.width), bool)
    with_questions.add_drawings([drawn("a", mask, "expert", created="2999-01-01")])
    with pytest.raises(EarthReasonError, match="'a' has another mask. Create a new review"):
        export_workspace(with_questions, "release", tmp_path / "again", reviews=settled)
    assert not (tmp_path / "again").exists()


def test_reviews_drop_rejected_questions_and_replace_edited_ones(with_questions, tmp_path):
    verdicts = {
        ("a", 0): [("anna", "reject")],
        ("a", 1): [("anna", "edit", "Where could one moor?"), ("ben", "accept")],
        ("b", 0): [("anna", "accept")],
        ("c", 0): [("anna", "reject")],
        ("c", 1): [("anna", "reject")],
    }
    written = export_workspace(
        with_questions, "release", tmp_path / "out", reviews=outcome_of(with_questions, verdicts)
    )
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    assert written.left_out == LeftOut(rejected=["c"], disputed=[], questions=[])
    assert "c" not in records
    assert records["a"].questions == ["Where could one moor?"]
    assert len(records["b"].questions) == 2
    assert errors_of(tmp_path / "out") == []


def test_questions_that_reviewers_disagree_about_are_left_out_and_named(with_questions, tmp_path):
    tie = [("anna", "reject"), ("ben", "accept")]
    verdicts = {("a", 0): tie, ("c", 0): tie, ("c", 1): [("anna", "reject")]}
    written = export_workspace(
        with_questions, "release", tmp_path / "out", reviews=outcome_of(with_questions, verdicts)
    )
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    assert written.left_out == LeftOut(rejected=[], disputed=["c"], questions=["a question 0", "c question 0"])
    assert records["a"].questions == ["And where else?"]
    assert "c" not in records


def test_a_review_that_leaves_no_question_is_an_error(with_questions, tmp_path):
    verdicts = {(name, number): [("anna", "reject")] for name in with_questions.tasks for number in range(2)}
    outcome = outcome_of(with_questions, verdicts)
    with pytest.raises(EarthReasonError, match="no question remains after the review"):
        export_workspace(with_questions, "release", tmp_path / "out", reviews=outcome)


def test_a_review_of_other_samples_is_refused(with_questions, tmp_path):
    with pytest.raises(EarthReasonError, match="has none of these samples"):
        export_workspace(
            with_questions, "release", tmp_path / "out", reviews=ReviewOutcome({}, frozenset([("test", "z")]))
        )


def test_answers_of_a_mask_that_turned_out_empty_are_dropped_and_kept_in_extra(with_questions, tmp_path):
    size = with_questions.tasks["a"].height, with_questions.tasks["a"].width
    with_questions.add_drawings([drawn("a", np.zeros(size, bool), "expert", created="2999-01-01")])
    export_workspace(with_questions, "release", tmp_path / "out")
    record = next(r for _, r in read_all(open_source(tmp_path / "out")) if r.sample_id == "a")
    assert (record.is_empty, record.answers) == (True, [])
    assert json.loads(record.extra)["annotation"]["answers_dropped"] == ["There."]
    assert errors_of(tmp_path / "out") == []


def test_unknown_formats_are_named(annotated, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown format 'cvatt'; did you mean 'cvat'"):
        export_workspace(annotated, "cvatt", tmp_path / "out")


def test_drawings_of_another_size_are_all_named_and_none_is_kept(workspace):
    wrong = [
        drawn("a", box(SIZE, 1, 1, 2, 2), "anna"),
        drawn("b", box((5, 5), 1, 1, 2, 2), "anna"),
        drawn("z", box(SIZE, 1, 1, 2, 2), "anna"),
    ]
    with pytest.raises(DrawingError) as caught:
        workspace.add_drawings(wrong)
    assert len(caught.value.faults) == 2
    assert workspace.drawings() == {}
