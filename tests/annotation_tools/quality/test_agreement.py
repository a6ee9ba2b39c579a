import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from annotation_tools.quality.adjudicate import METHODS, Rules, adjudicate, staple, vote
from annotation_tools.quality.agreement import measure_quality
from annotation_tools.quality.masks import mask_iou, outline_distances
from annotation_tools.quality.offered import offered_categories
from annotation_tools.quality.report import draw_difference, print_quality, write_quality
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError, UnknownNameError

from ..conftest import box, drawn

SIZE = (20, 30)
A = box(SIZE, 2, 2, 12, 12)
NEAR = box(SIZE, 2, 2, 12, 13)
FAR = box(SIZE, 8, 15, 18, 28)
NONE = np.zeros(SIZE, bool)


def settle(*drawings, **rules):
    (entry,) = adjudicate({"a": list(drawings)}, Rules(**rules))
    return entry


def test_two_empty_masks_agree():
    assert mask_iou(NONE, NONE) == 1


def test_outlines_shifted_by_one_column_are_one_pixel_apart_at_most():
    distances = outline_distances(A, NEAR)
    assert distances.max() == 1
    assert outline_distances(A, A).max() == 0
    assert outline_distances(A, NONE) is None


def test_masks_that_agree_are_settled_by_what_both_mark():
    entry = settle(drawn("a", A, "anna"), drawn("a", NEAR, "ben"))
    assert entry.settled
    assert np.array_equal(entry.drawing.mask, A)
    assert entry.iou == pytest.approx(100 / 110)
    assert [who["annotator"] for who in entry.behind] == ["anna", "ben"]


@pytest.mark.parametrize(
    ("other", "category", "reason"),
    [
        (FAR, "pond", "IoU 0.00 is below 0.7"),
        (NONE, "pond", "half say there is none"),
        (A, "mill", "categories differ: mill, pond"),
    ],
)
def test_what_two_people_dispute_waits_for_a_third(other, category, reason):
    entry = settle(drawn("a", A, "anna"), drawn("a", other, "ben", category))
    assert not entry.settled
    assert reason in entry.reason


@pytest.mark.parametrize("method", METHODS)
def test_a_third_person_settles_it(method):
    entry = settle(drawn("a", A, "anna"), drawn("a", FAR, "ben"), drawn("a", A, "cleo"), method=method)
    assert entry.settled
    assert np.array_equal(entry.drawing.mask, A)


def test_two_who_see_nothing_outweigh_one():
    entry = settle(drawn("a", NONE, "anna"), drawn("a", NONE, "ben"), drawn("a", A, "cleo"))
    assert entry.settled
    assert entry.drawing.is_empty


def test_three_who_all_differ_are_not_settled_but_an_adjudicator_is():
    third = box(SIZE, 14, 0, 20, 10)
    people = [drawn("a", A, "anna"), drawn("a", FAR, "ben"), drawn("a", third, "cleo")]
    assert not settle(*people).settled
    entry = settle(*people, adjudicators=("cleo",))
    assert (entry.settled, entry.method) == (True, "adjudicator")
    assert np.array_equal(entry.drawing.mask, third)


def test_one_drawing_stands_unless_more_are_wanted():
    assert settle(drawn("a", A, "anna")).settled
    entry = settle(drawn("a", A, "anna"), min_drawings=2)
    assert (entry.settled, entry.reason) == (False, "1 of 2 people has drawn it")


def test_methods_by_pixel():
    third = box(SIZE, 2, 2, 12, 14)
    assert np.array_equal(vote([A, NEAR, third]), NEAR)
    assert np.array_equal(staple([A, A]), A)
    assert A[staple([A, NEAR, third])].mean() > 0.8
    with pytest.raises(UnknownNameError, match="unknown method 'mojority'"):
        adjudicate({}, Rules(method="mojority"))


def test_quality_counts_what_was_put_in(workspace):
    for task in "abc":
        workspace.add_drawings([drawn(task, A, "anna", seconds=10.0), drawn(task, NEAR, "ben", seconds=30.0)])
    workspace.add_drawings([drawn("d", NONE, "anna"), drawn("d", A, "ben")])
    found = measure_quality(workspace)
    assert (found.images, len(found.pairs)) == (4, 4)
    assert found.iou[0] == pytest.approx((3 * 100 / 110 + 0) / 4)
    assert found.iou[1:] == (None, None)  # fewer than ten images
    assert found.emptiness.raw == 0.75
    assert found.emptiness.prevalence == {"no target": 1 / 8, "target": 7 / 8}
    anna, ben = found.people
    assert (anna.seconds, ben.seconds, anna.empty) == (10.0, 30.0, 0.25)
    assert json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("names", "pabak"),
    # Of four tasks three are alike. Two categories: (2 * 3/4 - 1) / 1. Three: (3 * 3/4 - 1) / 2.
    [(["pond", "pond", "mill"], 0.5), (["pond", "mill", "pier"], 0.625)],
)
def test_pabak_of_categories_counts_those_that_drawings_name(workspace, names, pabak):
    for task, name in zip("abc", names, strict=True):
        workspace.add_drawings([drawn(task, A, "anna", name), drawn(task, A, "ben", name)])
    workspace.add_drawings([drawn("d", A, "anna", "pond"), drawn("d", A, "ben", "mill")])
    assert measure_quality(workspace).categories.pabak == pytest.approx(pabak)
    assert measure_quality(workspace).emptiness.pabak == pytest.approx(1)


@pytest.mark.parametrize(
    ("expected", "given", "offered", "pabak"),
    # Three of four tasks are alike: (k * 3/4 - 1) / (k - 1), which is 2/4, (5/4) / 2, 2 / 3 and (11/4) / 4.
    [
        ([], [], ["mill", "pond"], 0.5),
        (["pier"], [], ["mill", "pier", "pond"], 0.625),
        ([], ["mill", "pond", "pier", "quay"], ["mill", "pier", "pond", "quay"], 2 / 3),
        (["weir"], ["pond", "pier", "quay"], ["mill", "pier", "pond", "quay", "weir"], 0.6875),
    ],
)
def test_pabak_counts_the_categories_offered_though_nobody_chose_them(workspace, expected, given, offered, pabak):
    for task in "abc":
        workspace.add_drawings([drawn(task, A, "anna", "pond"), drawn(task, A, "ben", "pond")])
    workspace.add_drawings([drawn("d", A, "anna", "pond"), drawn("d", A, "ben", "mill")])
    workspace.add_tasks([replace(workspace.tasks["a"], category=name) for name in expected])
    if given:
        (workspace.root / "categories.json").write_text(json.dumps(given))
    assert offered_categories(workspace) == offered
    assert measure_quality(workspace).categories.pabak == pytest.approx(pabak)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "[["])
def test_a_broken_file_of_categories_is_named(workspace, text):
    (workspace.root / "categories.json").write_text(text)
    with pytest.raises(DataFormatError, match="categories.json: "):
        offered_categories(workspace)


@pytest.mark.parametrize(("images", "ends"), [(9, None), (10, (0.2, 0.8))])
def test_an_interval_needs_ten_images_and_page_and_table_say_so(workspace, tmp_path, images, ends):
    """Of ten images half agree and half do not; resampled, that is a tenth of a binomial number of ten draws.

    P(0 or 1 of 10) is 1.1 % and P(up to 2) 5.5 %, so the 2.5th percentile is 0.2, and by symmetry the 97.5th is 0.8.
    """
    workspace.add_tasks(AnnotationTask(f"t{n}", "a.png", 20, 30) for n in range(images))
    for n in range(images):
        workspace.add_drawings([drawn(f"t{n}", A, "anna"), drawn(f"t{n}", FAR if n % 2 else A, "ben")])
    found = measure_quality(workspace)
    console = Console(file=io.StringIO(), width=200)
    print_quality(found, console)
    page = write_quality(tmp_path / "page", found, workspace).read_text()
    assert json.loads(json.dumps(found.to_dict()))["iou"] == [found.iou[0], *(ends or (None, None))]
    said = "95 % interval 0.200 to 0.800" if ends else "no 95 % interval: fewer than 10 images"
    assert f"mean IoU; {said}<" in page
    assert f"({said})" in console.file.getvalue()
    assert "None" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)


def test_masks_without_outlines_have_no_distance_in_pixels(workspace, tmp_path):
    workspace.add_drawings([drawn("a", NONE, "anna"), drawn("a", NONE, "ben")])
    page = write_quality(tmp_path / "page", measure_quality(workspace), workspace).read_text()
    assert '<span class="big">-</span><br><span class="dim">mean distance between outlines' in page


def test_drift_is_seen_when_someone_gets_worse(tmp_path, workspace):
    workspace.add_tasks(AnnotationTask(f"t{n}", "a.png", 20, 30) for n in range(10))
    for n in range(10):
        when = f"2026-01-01T10:{n:02}:00Z"
        wrong = box(SIZE, 2, 2, 12, 12 + n)
        workspace.add_drawings([drawn(f"t{n}", A, "anna", created=when), drawn(f"t{n}", wrong, "ben", created=when)])
    ben = measure_quality(workspace).people[1]
    assert ben.drift[0] == pytest.approx(-1)
    assert ben.iou_halves[0] > ben.iou_halves[1]


def verdict(number, reviewer, said, round_=1):
    return {
        "split": "train",
        "sample_id": "a",
        "number": number,
        "reviewer": reviewer,
        "verdict": said,
        "round": round_,
        "question": f"Where {number}?",
        "seconds": 2.0 + number,
        "reasons": ["leak"] if said == "reject" else [],
    }


def test_verdicts_and_second_looks(workspace):
    given = [
        verdict(0, "anna", "accept"),
        verdict(0, "ben", "accept"),
        verdict(1, "anna", "accept"),
        verdict(1, "ben", "reject"),
        verdict(0, "anna", "accept", 2),
        verdict(1, "anna", "reject", 2),
    ]
    found = measure_quality(workspace, given)
    assert (found.verdicts.things, found.verdicts.raw) == (2, 0.5)
    assert found.verdicts.pabak == pytest.approx((4 * 0.5 - 1) / 3)  # accept, edit, reject, unsure
    assert found.verdicts.disputed == ["a question 1"]
    assert found.consistency == {"anna": (2, 0.5)}
    assert found.pace == {"anna": (4, 2.5), "ben": (2, 2.5)}


def test_the_page_shows_disputes_as_pictures_and_loads_nothing(workspace, tmp_path):
    workspace.add_drawings(
        [drawn("a", A, "anna"), drawn("a", FAR, "<ben>"), drawn("b", A, "anna"), drawn("b", A, "<ben>")]
    )
    given = [verdict(1, "anna", "accept"), verdict(1, "ben", "reject")]
    page = write_quality(tmp_path / "page", measure_quality(workspace, given), workspace, given).read_text()
    assert page.count("<article") == 1
    assert page.count("data:image/jpeg") == 2
    assert "&lt;ben&gt;" in page
    assert "ben: reject (leak)" in page
    assert "http" not in page


def test_the_difference_is_tinted_by_whose_it_is():
    from PIL import Image

    drawn_over = np.asarray(draw_difference(Image.new("RGB", (30, 20), (100, 100, 100)), A, FAR)).astype(int)
    red, green, blue = drawn_over[5, 5]  # magenta: only the first
    assert min(red, blue) > green
    red, green, blue = drawn_over[16, 26]  # amber: only the second
    assert min(red, green) > blue
    assert drawn_over[0, 0].tolist() == [100, 100, 100]


def test_names_and_categories_are_printed_whole_and_are_no_markup(workspace):
    names = ["[/b] [red]ben", "anastasia.konstantinopoulou.and.the.others@remote-sensing.institute.example.org"]
    mask = box((20, 30), 2, 2, 9, 9)
    workspace.add_drawings([drawn("a", mask, name, category="[/i]") for name in names])
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_quality(measure_quality(workspace), console)
    lines = console.file.getvalue().splitlines()
    assert "[/i] 100%" in console.file.getvalue()
    assert "".join(line.strip().partition("  ")[0] for line in lines).endswith("".join(names))
