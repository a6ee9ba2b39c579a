"""Generation through the Batch API: rounds, budgets, limits of a file."""

import pytest

from earthreason.questions.batches import submission as batch_module
from earthreason.questions.ledger import Ledger
from tests.questions.runs import advance_once, config_of


def test_batches_carry_every_sample_through_three_rounds(server, source, tmp_path):
    ledger, config = Ledger(tmp_path / "ledger.sqlite"), config_of(limit=8)
    rounds = [advance_once(server, source, config, ledger) for _ in range(4)]
    assert [step.submitted for step in rounds] == [8, 8, 8, 0]
    assert [step.collected for step in rounds] == [0, 8, 8, 8]
    assert rounds[-1].outcome.done == 8
    assert ledger.spent() == pytest.approx(0.5 * 24 * (1000 * 2.5 + 200 * 10) / 1e6)


def test_a_batch_takes_only_what_the_budget_can_pay_with_what_is_in_flight(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    nothing = advance_once(server, source, config_of(max_usd=0.0, limit=8), ledger)
    assert (nothing.submitted, server.batches) == (0, {})
    assert "--max-usd" in nothing.outcome.stopped
    some = advance_once(server, source, config_of(max_usd=0.02, limit=8), ledger)
    assert 0 < some.submitted < 8
    assert "--max-usd" in some.outcome.stopped
    (told,) = ledger.open_batches().values()
    assert sum(request["max_cost"] for request in told.values()) <= 0.02
    for batch in server.batches.values():
        batch["status"] = "in_progress"
    assert advance_once(server, source, config_of(max_usd=0.02, limit=8), ledger).submitted == 0
    assert advance_once(server, source, config_of(limit=8), ledger).submitted == 8 - some.submitted


@pytest.mark.parametrize("limit", [{"MAX_REQUESTS": 3}, {"MAX_BYTES": 350_000}])
def test_batches_are_cut_at_the_providers_limit_of_a_file(server, source, tmp_path, monkeypatch, limit):
    for name, value in limit.items():
        monkeypatch.setattr(batch_module, name, value)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    step = advance_once(server, source, config_of(limit=8), ledger)
    assert step.submitted == 8
    sizes = [len(requests) for requests in ledger.open_batches().values()]
    assert len(sizes) == len(step.running) > 1
    assert sum(sizes) == 8
    assert max(sizes) <= limit.get("MAX_REQUESTS", 7)
    assert len(server.files["file-in"]) <= limit.get("MAX_BYTES", 10**9)
