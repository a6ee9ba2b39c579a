"""The fuzz test of the reader: its examples are sound, and a few thousand damaged ones end as they should."""

import random
import signal

import pytest

from benchmarks import fuzz_reader
from benchmarks.fuzz_reader import make_forms, make_truth, run_case, write_case
from earthreason.metrics.evaluate import evaluate
from earthreason.predictions import open_predictions

FORMS = make_forms()


@pytest.mark.parametrize("form", FORMS)
def test_every_example_scores_before_it_is_damaged(tmp_path, monkeypatch, form):
    monkeypatch.setattr(fuzz_reader, "damage", lambda content, *_: content)
    path = write_case(tmp_path, form, FORMS, random.Random(0))
    if form.startswith(fuzz_reader.TRUTH):
        assert evaluate({"a": None}, path, "native", missing="empty", resamples=0)["T-acc"] == 0
    else:
        result = evaluate(open_predictions(path, "union"), make_truth(), "native", missing="empty", resamples=0)
        assert result["gIoU"] >= 0


def test_three_thousand_damaged_files_give_a_score_or_one_clear_error(tmp_path):
    before = signal.signal(signal.SIGALRM, fuzz_reader._stop)
    try:
        outcomes = [run_case(number, 0, tmp_path, FORMS, make_truth()) for number in range(3000)]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 150 < outcomes.count("scored") < 2900
