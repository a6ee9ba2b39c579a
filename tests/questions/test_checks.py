"""Every check against its own examples, and precision and recall on the cases written by hand."""

from collections import defaultdict
from pathlib import Path

import pytest

from earthreason.questions.checks import CHECKS, SET_CHECKS, QuestionSet, check_all, passing
from tests.questions.answer_cases import ANSWERS, PAIRS
from tests.questions.cases import BAD, GOOD

ROOT = Path(__file__).resolve().parents[2]


def names(question, category=None):
    return {finding.check for finding in check_all(QuestionSet("a", (question,), (), category))}


def measure():
    """(true positives, false positives, false negatives) by check over all cases."""
    tally = defaultdict(lambda: [0, 0, 0])

    def compare(found, expected):
        for check in CHECKS:
            tally[check][0] += check in found and check in expected
            tally[check][1] += check in found and check not in expected
            tally[check][2] += check not in found and check in expected

    for category, questions in GOOD.items():
        for question in questions:
            compare(names(question, category), set())
    for check, cases in BAD.items():
        for category, question in cases:
            found = names(question, category)
            # A case is written to be bad in one way; it may be bad in others too, which is not counted against them.
            compare(found & {check}, {check})
    for category, empty, answer, check in ANSWERS:
        found = {f.check for f in check_all(QuestionSet("a", (), (answer,), category, empty))}
        compare(found & {check} if check else found, {check} if check else set())
    for one, two, same in PAIRS:
        found = {f.check for f in check_all(QuestionSet("a", (one, two)))} & {"near duplicate"}
        compare(found, {"near duplicate"} if same else set())
    return tally


def rates(true, false, missed):
    return true / max(1, true + false), true / max(1, true + missed)


def table():
    lines = ["| check | precision | recall | bad cases |", "|---|---:|---:|---:|"]
    for check, (true, false, missed) in measure().items():
        precision, recall = rates(true, false, missed)
        lines.append(f"| {check} | {precision:.2f} | {recall:.2f} | {true + missed} |")
    return "\n".join(lines)


def test_there_are_at_least_three_hundred_cases():
    questions = sum(map(len, GOOD.values())) + sum(map(len, BAD.values()))
    assert questions + len(ANSWERS) + len(PAIRS) >= 300


def test_the_documented_precision_and_recall_are_those_measured():
    assert table() in (ROOT / "docs" / "questions.md").read_text()
    for check, (true, false, missed) in measure().items():
        precision, recall = rates(true, false, missed)
        assert precision >= 0.9, check
        assert recall >= 0.7, check


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
    assert passing(asked) == ["Where could boats tie up?", "Which deck runs out over water?"]


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
