"""A result is a mapping, shows itself, and says what it was made of; its JSON and CSV use the same names."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from earthreason import evaluate
from earthreason.errors import UnknownNameError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.compare import compare_results
from earthreason.metrics.references import Reference, References
from earthreason.predictions import Predictions
from earthreason.types import Prediction

FIELD = np.arange(60).reshape(6, 10) < 20
TRUTH = {"a": FIELD, "b": np.zeros((6, 10), bool)}
HALF = FIELD & (np.arange(60).reshape(6, 10) < 10)


def half_right(**options):
    return evaluate({"a": HALF, "b": None}, TRUTH, "native", **{"resamples": 0, **options})


def test_a_result_is_a_mapping_over_its_scores():
    result = half_right()
    assert isinstance(result, Mapping)
    assert len(result) == len(list(result)) == len(result.keys()) == len(result.scores)
    assert dict(result) == {**result} == result.scores
    assert next(iter(result.items())) == ("gIoU", 0.75)  # 10 of 20 pixels, and 1 for the empty target
    assert pd.Series(result)["gIoU"] == 0.75


def test_scores_are_found_by_the_names_in_papers():
    result = half_right()
    assert result["mIoU"] == result["GIOU"] == result.get("gIoU") == 0.75
    assert "oIoU" in result
    assert "oIoU" not in list(result)


@pytest.mark.parametrize("name", ["giuo", "", 3, None])
def test_an_unknown_score_is_an_unknown_name(name):
    result = half_right()
    with pytest.raises(UnknownNameError, match="unknown metric"):
        result[name]
    assert name not in result
    assert result.get(name, "absent") == "absent"


def test_an_unknown_score_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'gIoU'"):
        half_right()["gIuU"]


def test_an_undefined_score_is_none_and_one_that_was_not_computed_is_absent():
    only_targets = evaluate({"a": FIELD}, {"a": FIELD}, "native", resamples=0)
    assert only_targets["N-acc"] is None
    assert "N-acc" in only_targets
    assert "Boundary IoU" not in only_targets
    with pytest.raises(UnknownNameError, match="boundary=True"):
        only_targets["Boundary IoU"]
    assert "Boundary IoU" in evaluate({"a": FIELD}, {"a": FIELD}, "native", resamples=0, boundary=True)


def test_results_are_equal_by_protocol_scores_and_intervals():
    result = half_right()
    assert result == half_right()
    assert hash(result) == hash(half_right())
    assert result == result.scores
    assert result != evaluate({"a": FIELD, "b": None}, TRUTH, "native", resamples=0)
    assert result != evaluate({"a": HALF, "b": None}, TRUTH, "segearth-r1", resamples=0)
    assert result != 3
    assert len({result, half_right()}) == 1


def test_a_result_shows_model_rules_size_and_main_scores_in_two_lines():
    truth = {f"t{k}": FIELD for k in range(12)} | {"e": TRUTH["b"]}
    info = {"model": "resnet"}
    given = Predictions("p", [Prediction(k, None if k == "e" else encode_mask(HALF)) for k in truth], info=info)
    # 12 scores of 1/2 and one of 1; 120 of 240 pixels; 1 of 1; 12 of 12, for which scipy's Wilson interval is
    # 75.751 to 100. Only one score of 13 is above 1/2, for which scipy gives 1.370 to 33.314.
    result = evaluate(given, truth, "native", resamples=0)
    assert repr(result) == (
        "<Result of resnet: native on native, 13 questions about 13 images\n"
        " gIoU 53.85, cIoU 50.00, Pr@0.5 7.69, N-acc 100.00, T-acc 100.00>"
    )
    shown = repr(evaluate(given, truth, "native", resamples=20))
    assert shown.count("\n") == 1
    assert "Pr@0.5 7.69 (1.4 to 33.3), N-acc 100.00 (fewer than 10 images), T-acc 100.00 (75.8 to 100.0)>" in shown


class Cells(HTMLParser):
    """Texts of a page by tag."""

    def __init__(self):
        super().__init__()
        self.texts, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1], data))


def test_a_notebook_shows_a_table_whose_names_are_escaped():
    given = Predictions(
        "p", [Prediction("a", encode_mask(HALF)), Prediction("b", None)], info={"model": "<script>alert(1)</script>"}
    )
    html = evaluate(given, TRUTH, "native", resamples=10)._repr_html_()
    assert "<script" not in html
    page = Cells()
    page.feed(html)
    assert page.open == []
    assert page.texts[0][1].startswith("<script>alert(1)</script>: native on native, 2 questions")
    assert ("th", "gIoU (mean per-sample IoU)") in page.texts
    assert page.texts[page.texts.index(("td", "75.00")) + 1] == ("td", "fewer than 10 images")


def test_the_json_of_a_result_names_model_data_time_and_grid():
    truth = References(TRUTH_REFERENCES, "truth", config="rrsis-d", split="val", revision="1f0c")
    info = {"model": {"name": "m"}, "config": "default", "split": "test"}
    given = Predictions("file.json", [Prediction("a", encode_mask(HALF)), Prediction("b", None)], info=info)
    content = json.loads(json.dumps(evaluate(given, truth, "native", resamples=0).to_dict(), allow_nan=False))
    run = content["provenance"]
    assert (content["protocol"], content["grid"]) == ("native", "native")
    assert run["model"] == {"name": "m"}
    assert (run["config"], run["split"], run["revision"]) == ("rrsis-d", "val", "1f0c")
    assert run["dataset_sha256"] == truth.fingerprint()
    moment = datetime.fromisoformat(run["date"])
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


TRUTH_REFERENCES = [
    Reference("a", encode_mask(FIELD), 2, category="lake", ground_resolution=0.5, reasoning_type="relation"),
    Reference("b", encode_mask(TRUTH["b"]), 2, category="dam", ground_resolution=7.0, reasoning_type="attribute"),
]


def test_what_the_predictions_say_of_their_ground_truth_is_not_taken_for_it():
    given = Predictions(
        "p", [Prediction("a", None), Prediction("b", None)], info={"config": "default", "split": "test"}
    )
    run = evaluate(given, TRUTH, "native", resamples=0).provenance
    assert (run["model"], run["config"], run["split"], run["revision"]) == (None, None, None, None)


def test_breakdowns_in_json_have_the_names_and_values_of_the_columns():
    given = [Prediction(name, None, question_index=q) for name in "ab" for q in (0, 1)]
    result = evaluate(given, References(TRUTH_REFERENCES, "truth"), "geo-r1", resamples=0)
    rows = pd.read_csv(io.StringIO(result.per_sample.to_csv(index=False)), dtype=str)
    content = result.to_dict()["breakdowns"]
    assert set(content) == {"category", "reasoning_type", "target", "target_area", "gsd", "question_index"}
    for name, groups in content.items():
        assert {group["group"]: group["n"] for group in groups} == rows[name].value_counts().to_dict()
    # By hand: 20 of 60 pixels, and metres of 0.5 and 7.
    assert rows["target_area"].tolist() == ["20 % and more"] * 2 + ["empty"] * 2
    assert rows["gsd"].tolist() == ["under 1 m"] * 2 + ["5 to 15 m"] * 2
    assert rows["image_size"].unique().tolist() == ["under 512 px"]


def test_every_row_per_question_says_its_protocol_and_grid():
    rows = evaluate({"a": HALF, "b": None}, TRUTH, "segearth-r1", resamples=0).per_sample
    assert list(rows.columns[:4]) == ["sample_id", "question_index", "target_index", "iou"]
    assert rows["protocol"].tolist() == ["segearth-r1"] * 2
    assert rows["grid"].tolist() == ["letterbox-1024"] * 2


def test_a_comparison_as_json_holds_the_scores_and_intervals_of_both():
    truth = {f"t{k}": FIELD for k in range(11)}
    first, second = (evaluate(dict.fromkeys(truth, mask), truth, "native", resamples=20) for mask in (None, FIELD))
    content = json.loads(json.dumps(compare_results([first, second], resamples=20)[0].to_dict(), allow_nan=False))
    assert content["grid"] == "native"
    assert content["models"]["first"]["scores"]["T-acc"] == 0
    assert content["models"]["second"]["scores"]["T-acc"] == 1
    # scipy: binomtest(11, 11).proportion_ci(method="wilson") is 0.7411670 to 1.
    assert content["models"]["second"]["intervals"]["T-acc"] == pytest.approx([0.7411670, 1])
    assert content["models"]["first"]["intervals"]["T-acc"] == pytest.approx([0, 1 - 0.7411670])
    for role in ("first", "second"):
        assert {"model", "config", "split", "revision", "date", "dataset_sha256"} <= set(
            content["models"][role]["provenance"]
        )


def test_a_missing_answer_about_several_masks_is_one_question():
    several = {"a": [FIELD, HALF], "b": FIELD}
    result = evaluate({"b": FIELD}, several, "lasers", missing="empty", resamples=0)
    assert (len(result.counts), result.questions, result.missing) == (3, 2, 1)


def test_results_with_other_intervals_are_not_equal():
    truth = {f"s{number}": FIELD for number in range(20)}
    answers = {name: HALF if number % 3 else FIELD for number, name in enumerate(truth)}
    one, same, other = (evaluate(answers, truth, "native", resamples=50, seed=seed) for seed in (1, 1, 2))
    assert one.scores == other.scores
    assert one == same
    assert one != other
