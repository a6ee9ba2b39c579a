"""The rule by which verdicts of several people are settled, with outcomes worked by hand."""

import pytest

from earthreason.questions.settlement import (
    LeftOut,
    PersonVerdict,
    SettledQuestion,
    left_out,
    name_samples,
    parse_time,
    settle_question,
    settle_sample,
)

ORIGINAL = "Where is the pier?"


def at(hour):
    return parse_time(f"2026-01-01T{hour:02}:00:00Z")


def said(*entries):
    """Verdicts from (who, hour, decision) or (who, hour, decision, text)."""
    return [PersonVerdict(who, at(hour), decision, *text) for who, hour, decision, *text in entries]


CASES = {
    "nobody judged it": ([], "open", ORIGINAL),
    "unsure is no vote": ([("ann", 1, "unsure"), ("ben", 2, "unsure")], "open", ORIGINAL),
    "one accepts": ([("ann", 1, "accept")], "kept", ORIGINAL),
    "one edits": ([("ann", 1, "edit", "A?")], "kept", "A?"),
    "one rejects": ([("ann", 1, "reject")], "rejected", ORIGINAL),
    "unsure does not outvote a rejection": (
        [("ann", 1, "reject"), ("ben", 2, "unsure"), ("cleo", 3, "unsure")],
        "rejected",
        ORIGINAL,
    ),
    "an accept after an edit accepts the edit": ([("ann", 1, "edit", "A?"), ("ben", 2, "accept")], "kept", "A?"),
    "an edit after an accept": ([("ann", 1, "accept"), ("ben", 2, "edit", "B?")], "kept", "B?"),
    "the later of two edits": ([("ann", 1, "edit", "A?"), ("ben", 2, "edit", "B?")], "kept", "B?"),
    "time decides, not the order of the list": ([("ben", 2, "edit", "B?"), ("ann", 1, "edit", "A?")], "kept", "B?"),
    "of equal times the later in the list": ([("ann", 1, "edit", "A?"), ("ben", 1, "edit", "B?")], "kept", "B?"),
    "one against one is a tie": ([("ann", 1, "accept"), ("ben", 2, "reject")], "disputed", ORIGINAL),
    "a tie whoever came last": ([("ann", 1, "reject"), ("ben", 2, "accept")], "disputed", ORIGINAL),
    "an edit is a vote to keep": ([("ann", 1, "edit", "A?"), ("ben", 2, "reject")], "disputed", "A?"),
    "two against one reject": (
        [("ann", 1, "edit", "A?"), ("ben", 2, "reject"), ("cleo", 3, "reject")],
        "rejected",
        "A?",
    ),
    "two for one keep": ([("ann", 1, "reject"), ("ben", 2, "edit", "B?"), ("cleo", 3, "accept")], "kept", "B?"),
    "two against two": (
        [("ann", 1, "accept"), ("ben", 2, "accept"), ("cleo", 3, "reject"), ("dora", 4, "reject")],
        "disputed",
        ORIGINAL,
    ),
    "a person changes her mind": ([("ann", 1, "reject"), ("ann", 2, "accept")], "kept", ORIGINAL),
    "and the list may tell it in any order": ([("ann", 2, "accept"), ("ann", 1, "reject")], "kept", ORIGINAL),
    "a person has one vote": ([("ann", 1, "reject"), ("ann", 2, "reject"), ("ben", 3, "accept")], "disputed", ORIGINAL),
    "unsure takes an earlier rejection back": ([("ann", 1, "reject"), ("ann", 2, "unsure")], "open", ORIGINAL),
    "accepting takes one's own edit back": ([("ann", 1, "edit", "A?"), ("ann", 2, "accept")], "kept", ORIGINAL),
    "but nobody else's": (
        [("ben", 1, "edit", "B?"), ("ann", 2, "edit", "A?"), ("ann", 3, "accept")],
        "kept",
        "B?",
    ),
    "editing again after another's edit": (
        [("ann", 1, "edit", "A?"), ("ben", 2, "edit", "B?"), ("ann", 3, "edit", "C?")],
        "kept",
        "C?",
    ),
    "text beside an accept is no edit": ([("ann", 1, "accept", "A?")], "kept", ORIGINAL),
    "nobody named is one person": ([("", 1, "reject"), ("", 2, "accept")], "kept", ORIGINAL),
}


@pytest.mark.parametrize("name", CASES)
def test_one_question(name):
    entries, outcome, text = CASES[name]
    assert settle_question(ORIGINAL, said(*entries)) == SettledQuestion(text, outcome)


def test_times_are_compared_as_moments_and_none_is_the_earliest():
    assert parse_time("2026-01-01T12:30:00+01:00") < parse_time("2026-01-01T12:00:00Z")
    assert parse_time("2026-01-01T12:00:00") == parse_time("2026-01-01T12:00:00Z")
    assert parse_time("") < parse_time("0001-01-01T00:00:01Z")
    with pytest.raises(ValueError, match="yesterday"):
        parse_time("yesterday")


REJECT, ACCEPT, EDIT = ("ann", 1, "reject"), ("ann", 1, "accept"), ("ann", 1, "edit", "New?")
TIE = [REJECT, ("ben", 2, "accept")]
SAMPLES = {
    "untouched": ([[], []], "open", ["Q0?", "Q1?"]),
    "one rejected": ([[REJECT], []], "kept", ["Q1?"]),
    "all rejected": ([[REJECT], [REJECT]], "rejected", []),
    "edited": ([[EDIT], [ACCEPT]], "kept", ["New?", "Q1?"]),
    "one disputed": ([TIE, [ACCEPT]], "kept", ["Q1?"]),
    "rejected and disputed": ([[REJECT], TIE], "disputed", []),
    "without questions": ([], "open", []),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_one_sample(name):
    entries, outcome, texts = SAMPLES[name]
    questions = [f"Q{number}?" for number in range(len(entries))]
    settled = settle_sample(questions, {number: said(*several) for number, several in enumerate(entries)})
    assert (settled.outcome, settled.texts) == (outcome, texts)


def test_what_is_left_out_is_named():
    samples = {
        ("test", name): settle_sample(["Q0?", "Q1?"], dict(enumerate(said(*several) for several in entries)))
        for name, (entries, _, _) in SAMPLES.items()
    }
    assert left_out(samples) == LeftOut(
        rejected=["all rejected"],
        disputed=["rejected and disputed"],
        questions=["one disputed question 0", "rejected and disputed question 1"],
    )


def test_only_samples_that_share_their_id_are_named_with_their_split():
    samples = [("train", "1"), ("test", "1"), ("test", "2")]
    assert name_samples(samples) == dict(zip(samples, ["train/1", "test/1", "2"], strict=True))
