"""Runs of parts, merged: nothing is lost, nothing is paid twice."""

import pytest

from earthreason.data.sources.ranges import PartOfSource
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.merging import keep_shard, merge_runs
from earthreason.questions.recipe import keep_source
from earthreason.shards import Shard
from tests.questions.runs import config_of, generate
from tests.questions.test_runs import Splits, record

COUNT = 2


def begin(folder, shard):
    ledger = Ledger(folder / "ledger.sqlite")
    keep_shard(ledger, shard)
    keep_source(ledger, "sample")
    return ledger


@pytest.fixture
def samples():
    return Splits(train=[record(str(n), shade=n) for n in range(3)], test=[record(str(n), shade=9 + n) for n in (7, 8)])


@pytest.fixture
def parts(server, samples, tmp_path):
    folders = [tmp_path / f"run-{number}" for number in range(1, COUNT + 1)]
    for number, folder in enumerate(folders, start=1):
        shard = Shard(number, COUNT)
        ledger = begin(folder, shard)
        assert generate(PartOfSource(samples, shard), config_of(), ledger, server).complete
        ledger.close()
    return folders


def results_of(ledger):
    return {(split, result.sample_id): (result.questions, result.answers) for split, result in ledger.results()}


def test_merged_runs_have_the_questions_of_one_run_and_nothing_is_paid_again(server, samples, parts, tmp_path):
    whole = Ledger(tmp_path / "whole" / "ledger.sqlite")
    outcome = generate(samples, config_of(), whole, server)
    assert merge_runs(parts[::-1], tmp_path / "merged") == outcome.done == 5
    merged = Ledger(tmp_path / "merged" / "ledger.sqlite")
    assert results_of(merged) == results_of(whole)
    assert merged.spent() == pytest.approx(whole.spent())
    again = generate(samples, config_of(), merged, server)
    assert (again.done, again.calls) == (5, 0)


def test_the_cost_of_an_answer_that_two_parts_paid_for_stays_counted(server, tmp_path):
    twins = Splits(train=[record("a", shade=1), record("b", shade=1)])
    costs, folders = [], [tmp_path / "run-1", tmp_path / "run-2"]
    for number, folder in enumerate(folders, start=1):
        ledger = begin(folder, Shard(number, 2))
        generate(PartOfSource(twins, Shard(number, 2)), config_of(), ledger, server)
        costs.append(ledger.spent())
        ledger.close()
    assert merge_runs(folders, tmp_path / "merged") == 2
    merged = Ledger(tmp_path / "merged" / "ledger.sqlite")
    assert merged.spent() == pytest.approx(sum(costs))
    assert generate(twins, config_of(), merged, server).calls == 0


def test_a_missing_part_is_named_and_nothing_is_written(parts, tmp_path):
    with pytest.raises(EarthReasonError, match="missing parts: 2/2"):
        merge_runs(parts[:1], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_run_about_all_samples_is_no_part(tmp_path):
    begin(tmp_path / "run", None).close()
    with pytest.raises(EarthReasonError, match="run is not a part"):
        merge_runs([tmp_path / "run"], tmp_path / "merged")


def test_parts_of_two_sources_are_not_mixed(tmp_path):
    for number in (1, 2):
        ledger = begin(tmp_path / f"run-{number}", Shard(number, 2))
        ledger.remember("source", f"set {number}")
        ledger.close()
    with pytest.raises(EarthReasonError, match="run-2 has other settings than"):
        merge_runs([tmp_path / "run-1", tmp_path / "run-2"], tmp_path / "merged")


def test_a_run_stays_with_its_part(parts):
    ledger = Ledger(parts[0] / "ledger.sqlite")
    keep_shard(ledger, Shard(1, COUNT))
    with pytest.raises(EarthReasonError, match="is about part 1/2, and this is all samples; choose another --out"):
        keep_shard(ledger, None)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="is not a run directory"):
        merge_runs([tmp_path], tmp_path / "merged")
