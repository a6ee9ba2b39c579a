"""Every check against its own examples, and precision and recall on cases written by hand."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from earthreason.data.schema import Record
from earthreason.masks.png import encode_mask_png
from earthreason.questions.checks import CHECKS, SET_CHECKS, QuestionSet, check_many, passing
from earthreason.questions.language import read_ahead
from earthreason.questions.validate import validate
from tests.questions.answer_cases import ANSWERS, PAIRS
from tests.questions.cases import BAD, GOOD

ROOT = Path(__file__).resolve().parents[2]
LEAST_PRECISION, LEAST_RECALL = 0.95, 0.90


def names(question, category=None):
    return {finding.check for finding in check_many([QuestionSet("a", (question,), (), category)])}


def read_cases(name):
    """Texts about one image with the checks they break; a pair of questions is only for `near duplicate`."""
    cases = json.loads((Path(__file__).parent / name).read_text())
    for category, question, broken in cases["questions"]:
        yield QuestionSet("a", (question,), (), category), set(broken)
    for category, empty, answer, broken in cases["answers"]:
        yield QuestionSet("a", (), (answer,), category, empty), set(broken)
    for one, two, alike in cases["pairs"]:
        yield QuestionSet("a", (one, two)), {"near duplicate"} if alike else set()


def development():
    for category, questions in GOOD.items():
        yield from ((QuestionSet("a", (question,), (), category), set()) for question in questions)
    for check, cases in BAD.items():
        yield from ((QuestionSet("a", (question,), (), category), {check}) for category, question in cases)
    for category, empty, answer, check in ANSWERS:
        yield QuestionSet("a", (), (answer,), category, empty), {check} if check else set()
    for one, two, alike in PAIRS:
        yield QuestionSet("a", (one, two)), {"near duplicate"} if alike else set()
    yield from read_cases("development.json")


@cache
def measure(which):
    """[true positives, false positives, false negatives] by check."""
    tally = defaultdict(lambda: [0, 0, 0])
    cases = list(development() if which == "development" else read_cases("held_out.json"))
    read_ahead(text for asked, _ in cases for text in (*asked.questions, *asked.answers))
    for asked, broken in cases:
        found = {finding.check for finding in check_many([asked])}
        if len(asked.questions) > 1:
            found &= {"near duplicate"}
        elif broken:
            # A case is written to be bad in one way; it may be bad in others too, which is not counted against them.
            found &= broken
        for check in CHECKS:
            tally[check][0] += check in found and check in broken
            tally[check][1] += check in found and check not in broken
            tally[check][2] += check not in found and check in broken
    return tally


def rates(true, false, missed):
    return true / max(1, true + false), true / max(1, true + missed)


def table():
    lines = ["| check | precision | recall | bad cases | held out: precision | recall | bad cases |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for check in CHECKS:
        cells = []
        for which in ("development", "held out"):
            true, false, missed = measure(which)[check]
            precision, recall = rates(true, false, missed)
            cells += [f"{precision:.2f}", f"{recall:.2f}", str(true + missed)]
        lines.append(f"| {check} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_documented_numbers_of_cases_are_those_counted():
    counts = [sum(1 for _ in cases) for cases in (development(), read_cases("held_out.json"))]
    assert (
        "{:,} cases to tune them with and {:,} held-out".format(*counts) in (ROOT / "docs" / "questions.md").read_text()
    )


def test_the_documented_precision_and_recall_are_those_measured():
    assert table() in (ROOT / "docs" / "questions.md").read_text()


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_holds_on_cases_it_was_not_tuned_with(name):
    precision, recall = rates(*measure("held out")[name])
    assert precision >= LEAST_PRECISION
    assert recall >= LEAST_RECALL


def test_no_case_stands_in_both_sets():
    tuned, held_out = (
        {text.lower() for asked, _ in cases for text in (*asked.questions, *asked.answers)}
        for cases in (development(), read_cases("held_out.json"))
    )
    assert not tuned & held_out


@pytest.mark.parametrize(
    "name", [name for name in CHECKS if name not in ("near duplicate", "emptiness", "answer target")]
)
def test_each_check_agrees_with_its_own_examples(name):
    check = CHECKS[name]
    category = "airport runway" if name == "names category" else None
    for text in check.bad:
        assert name in names(text, category)
    for text in check.good:
        assert name not in names(text, category)
    assert check.rule.endswith(".")


def test_questions_that_pass_keep_their_order():
    asked = QuestionSet(
        "a", ("Where could boats tie up?", "Where is the pier?", "Which deck runs out over water?"), (), "pier"
    )
    assert passing(asked) == (["Where could boats tie up?", "Which deck runs out over water?"], [])


def test_the_same_question_about_two_images_is_found():
    asked = "Where could a small fishing boat tie up for the night?"
    sets = [QuestionSet("a", (asked,)), QuestionSet("b", ("Which lawn is cut every day?", asked.lower()))]
    (finding,) = SET_CHECKS["repeated across set"].run(sets)
    assert finding.sample_id == "b"


def test_a_template_opening_is_found_only_in_a_large_set():
    sets = [QuestionSet(str(n), (f"Can you find thing number {n} quickly?",)) for n in range(60)]
    (finding,) = SET_CHECKS["same opening"].run(sets)
    assert "60 of 60" in finding.reason
    assert list(SET_CHECKS["same opening"].run(sets[:40])) == []


class Twins:
    """Sets of which two splits have samples with one id."""

    name, counts = "twins", {"train": 1, "test": 1}

    def __init__(self, *questions, language=None):
        self.questions = list(questions)
        self.extra = json.dumps({"generated": {"language": language}}) if language else None

    def read(self, split):
        mask = encode_mask_png(np.eye(4, dtype=bool))
        yield Record("1", b"", mask, 4, 4, False, self.questions, [], extra=self.extra)


def test_samples_of_two_splits_with_one_id_are_two_samples():
    findings = validate(Twins("Where could a small fishing boat tie up for the night?")).findings
    assert [(found.check, found.sample_id) for found in findings] == [("repeated across set", "test/1")]
    assert "'train/1'" in findings[0].reason


def test_texts_are_checked_in_the_language_in_which_a_run_wrote_them():
    asked = "Wo könnte hier ein Flugzeug im Notfall landen?"
    assert "language" in {found.check for found in validate(Twins(asked)).findings}
    for german in (validate(Twins(asked, language="German/de")), validate(Twins(asked), language="de")):
        assert {found.check for found in german.findings} == {"repeated across set"}


def test_a_text_of_a_million_letters_is_too_long_and_takes_no_time():
    asked = QuestionSet(
        "a", ("Where could ships unload, and where would they wait? " * 20_000, "Where?"), ("Yes " * 9999,)
    )
    found = {(finding.check, len(finding.text)) for finding in check_many([asked])}
    assert found == {("length", len(text)) for text in (*asked.questions, *asked.answers)}
