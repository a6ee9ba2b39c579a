"""The set `diagnostic` has the numbers, sizes and strata that its page promises, whoever draws it."""

import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import earthreason.synthetic as synthetic
from earthreason.data.sources.sample import diagnostic_records
from earthreason.synthetic.diagnostic import plan_diagnostic

FOLDER = Path(synthetic.__file__).parent
SEED = 2504
FEW = 8


@pytest.fixture(scope="module")
def plans():
    return plan_diagnostic(SEED)


def held_out():
    table = tomllib.loads((FOLDER / "categories.toml").read_text())
    return {name for name, entry in table.items() if entry.get("held_out")}


def stratum(plan):
    return plan.wording, plan.category in held_out()


def test_a_thousand_scenes_have_three_hundred_empties_in_three_strata(plans):
    assert len(plans) == 1000
    assert Counter(map(stratum, plans)) == {("train", False): 350, ("test", False): 400, ("test", True): 250}
    empties = Counter(stratum(plan) for plan in plans if plan.empty)
    assert empties == {("train", False): 105, ("test", False): 120, ("test", True): 75}


def test_every_reasoning_type_has_enough_scenes_and_no_category_many(plans):
    kinds = Counter(plan.reasoning_type for plan in plans)
    assert set(kinds) == {"function", "multi-instance", "superlative", "spatial relation", "condition"}
    assert min(kinds.values()) >= 100
    assert max(Counter(plan.category for plan in plans).values()) <= 80
    assert len({plan.category for plan in plans}) == 28


@pytest.mark.parametrize("fact", ["reasoning_type", "category"])
def test_neither_category_nor_type_tells_that_a_target_is_empty(plans, fact):
    groups = Counter(getattr(plan, fact) for plan in plans)
    empties = Counter(getattr(plan, fact) for plan in plans if plan.empty)
    # Three tenths of each group, but for what rounding does in each stratum.
    assert all(abs(empties[name] - 0.3 * n) < 2.5 for name, n in groups.items())


def test_sides_and_aspect_ratios_span_what_the_page_says(plans):
    sizes = np.array([plan.size for plan in plans])
    assert (sizes.min(), sizes.max()) == (123, 2048)
    ratios = sizes.max(1) / sizes.min(1)
    assert 2.9 < ratios.max() <= 3.01
    assert 0.3 < (ratios == 1).mean() < 0.5
    assert (sizes[:, 0] > sizes[:, 1]).sum() > 200 < (sizes[:, 0] < sizes[:, 1]).sum()
    assert np.median(sizes) < 512  # so that all of them are drawn in minutes


def test_any_run_of_scenes_is_mixed(plans):
    assert {stratum(plan) for plan in plans[:20]} == {("train", False), ("test", False), ("test", True)}
    assert sum(a == b for a, b in pairwise(map(stratum, plans))) < 450


@pytest.fixture(scope="module")
def records():
    splits, counts = diagnostic_records(SEED, FEW, workers=1)
    assert counts == {"test": FEW}
    return list(splits["test"])


def test_the_bytes_do_not_depend_on_the_number_of_workers(records):
    splits, _ = diagnostic_records(SEED, FEW, workers=3)
    assert [vars(record) for record in splits["test"]] == [vars(record) for record in records]


def texts(category, split):
    """Clauses and stories of a category in the words of a split."""
    table = tomllib.loads((FOLDER / "wording" / "phrases" / f"{category.replace(' ', '_')}.toml").read_text())
    return [text for register in table[split].values() for text in register]


def test_what_is_drawn_is_what_was_planned(records, plans):
    for number, (record, plan) in enumerate(zip(records, plans, strict=False)):
        assert record.sample_id == f"diagnostic_{number:04d}"
        assert (record.height, record.width) == plan.size
        assert (record.category, record.reasoning_type) == (plan.category, plan.reasoning_type)
        assert record.is_empty == plan.empty == (not record.answers)


def test_the_fact_unseen_states_whose_words_and_category_a_question_has(records):
    assert len({record.unseen for record in records}) == 3
    for record in records:
        lacking = record.unseen.split(" and ")
        assert ("category" in lacking) == (record.category in held_out())
        mine, other = ("test", "train") if "wording" in lacking else ("train", "test")
        for question in record.questions:
            assert any(text in question for text in texts(record.category, mine))
            assert not any(text in question for text in texts(record.category, other))
