"""What a report says, under protocols that score questions or targets, with and without intervals."""

import re
from html import unescape

import numpy as np
import pytest

from earthreason.masks.rle import encode_mask, union_rles
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.inputs import as_predictions, as_references
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference
from earthreason.reports.evaluation import write_report

SIDE = 32
QUARTERS = np.zeros((4, SIDE, SIDE), bool)
for place in range(4):
    QUARTERS[place, SIDE // 2 * (place // 2) :, SIDE // 2 * (place % 2) :][: SIDE // 2, : SIDE // 2] = True
TARGETS = tuple(map(encode_mask, QUARTERS[:2]))
EMPTY = encode_mask(np.zeros((SIDE, SIDE), bool))


def truth_of(images):
    """Images with two targets each; the last one has nothing to find."""
    several = [
        Reference(
            f"s{n:02d}", union_rles(TARGETS), targets=TARGETS, category=f"kind {n % 2}", ground_resolution=n or None
        )
        for n in range(images - 1)
    ]
    return [*several, Reference("sea", EMPTY, category="kind 0")]


def write(folder, protocol, images=12, resamples=50, missing="error", answers=None, boundary=False):
    """Write a report and return what a reader sees of it, and its HTML."""
    truth = truth_of(images)
    answers = answers or {
        reference.sample_id: [QUARTERS[0], QUARTERS[n % 3]] if reference.targets else None
        for n, reference in enumerate(truth)
    }
    first = PROTOCOLS[protocol]
    protocols = [first, *(rules for rules in PROTOCOLS.values() if rules is not first)]
    predictions = as_predictions(answers)
    results = evaluate_protocols(
        predictions, as_references(truth), protocols, resamples=resamples, missing=missing, boundary=boundary
    )
    page = write_report(folder, results, predictions, lambda _: None, 5).read_text()
    body = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]*>", " ", body))), page, results


OPTIONS = [(name, options) for name in PROTOCOLS for options in ({}, {"resamples": 0}, {"images": 2})]
WITH_BANDS = [(name, {"boundary": True}) for name, rules in PROTOCOLS.items() if rules.unit == "question"]


@pytest.mark.parametrize(("protocol", "options"), [*OPTIONS, *WITH_BANDS], ids=str)
def test_a_reader_meets_no_placeholder_of_a_programming_language(tmp_path, protocol, options):
    seen, page, _ = write(tmp_path, protocol, **options)
    assert not re.findall(r"\b(?:None|nan|NaN|null|inf|True|False|undefined)\b", seen)
    assert not re.findall(r'="(?:[^"]*\b)?(?:None|nan|inf)\b', page)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_scores_of_the_page_are_those_of_the_json(tmp_path, protocol):
    _, page, results = write(tmp_path, protocol)
    for name, value in results[0].to_dict()["scores"].items():
        text = "–" if value is None else f"{100 * value:.2f}"
        title = re.escape(name.replace(" targets", ", targets"))
        assert re.search(rf"<td>{title}\b[^<]*</td><td>{text}</td>", page), name


def test_a_protocol_that_scores_each_target_counts_targets_wherever_it_counts_rows(tmp_path):
    seen, _, results = write(tmp_path, "lasers")
    assert "12 questions about 12 images, 1 question without a target, 23 targets scored one by one" in seen
    assert "Number of targets by IoU" in seen
    assert "All targets 23 targets, lowest IoU first" in seen
    assert "n: number of targets" in seen
    assert "Pr@0.5" not in results[0].scores
    assert not re.search(r"(kind|present) .{0,40}Pr@0.5", seen)


def test_other_protocols_count_questions(tmp_path):
    seen, _, _ = write(tmp_path, "native")
    assert "12 questions about 12 images, 1 question without a target; ground truth" in seen
    assert "Number of questions by IoU" in seen
    assert "All questions 12 questions, lowest IoU first" in seen


def test_the_table_of_protocols_states_every_rule_once(tmp_path):
    """Grid and questions have columns of their own; the truth of lasers is stretched and scored target by target."""
    _, page, _ = write(tmp_path, "segearth-r1")
    rows = re.findall(r"<tr><td>([\w-]+)</td>(?:<td>[^<]*</td>){3}<td class=\"text\">([^<]*)</td>(.*?)</tr>", page)
    assert [name for name, _, _ in rows] == list(PROTOCOLS)
    rules = {name: re.findall(r">([^<]*)</td>", rest) for name, _, rest in rows}
    assert rules["lasers"][0] == "every question"
    lasers = "truth stretched bilinearly; each target scored on its own; no Pr@X; IoU divides by union in float64"
    assert rules["lasers"][1] == f"as segearth-r1, but {lasers}"
    assert rules["unigeoseg"][1] == "as segearth-r1"
    assert rules["segearth-r1"][1].startswith("truth resized as the prediction; targets of a question scored as one; ")
    assert all("question" not in text.replace("targets of a question", "") for _, text in rules.values())


def test_unanswered_questions_are_counted_in_words(tmp_path):
    seen, _, _ = write(tmp_path, "native", missing="empty", answers={"s00": QUARTERS[0], "s01": None})
    assert "1 question without a target, 10 questions unanswered and scored as empty" in seen
    assert "10 of 12 questions unanswered and scored as empty" in seen


def test_scores_of_few_images_say_so_and_the_page_explains_it(tmp_path):
    seen, _, _ = write(tmp_path / "ten", "native", images=12)
    assert "N-acc (empty targets predicted empty) 100.00 fewer than 10 images" in seen
    assert "A score that counts fewer than 10 images has none." in seen
    seen, _, _ = write(tmp_path / "all", "native", images=4)
    assert "gIoU (mean per-sample IoU)" in seen
    assert seen.count("fewer than 10 images") > 10
    assert "95 % interval" in seen
    assert "interval" not in write(tmp_path / "none", "native", resamples=0)[0]


def test_galleries_rank_questions_by_the_iou_they_show(tmp_path):
    """Each answer finds the first of two targets; the second is found, overlapped by half, or missed."""
    half = QUARTERS[1].copy()
    half[:, : 3 * SIDE // 4] = False
    second = {"s00": QUARTERS[2], "s01": QUARTERS[1], "s02": half}
    _, page, _ = write(
        tmp_path, "lasers", images=4, answers={n: [QUARTERS[0], mask] for n, mask in second.items()} | {"sea": None}
    )
    shown = {}
    for title, text in re.findall(r'<h2 id="g\d">(\w+).*?</h2>(.*?)(?=<h2)', page, re.DOTALL):
        shown[title] = re.findall(r"IoU ([\d.]+) · <bdi>(\w+)", text)
    assert [name for _, name in shown["Worst"]] == ["s00", "s02", "s01"]
    assert [name for _, name in shown["Best"]] == ["s01", "s02", "s00"]
    assert [iou for iou, _ in shown["Worst"]] == sorted(iou for iou, _ in shown["Worst"])


def test_the_figure_of_areas_places_each_target_at_its_own_area(tmp_path):
    """A quarter of the image is at log10(0.25) = -0.602 on an axis of four decades to 0; two quarters are at -0.301."""
    for protocol, share in (("lasers", 0.25), ("native", 0.5)):
        _, page, _ = write(tmp_path / protocol, protocol)
        places = set(re.findall(r'class="dot" cx="([\d.]+)"', page))
        assert [float(place) for place in places] == [pytest.approx(30 + 400 * (1 + np.log10(share) / 4), abs=0.1)]
