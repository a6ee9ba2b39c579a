"""The estimate of costs against what a server counts of the requests that the run then sends."""

import pytest

from earthreason.questions.estimate import estimate
from earthreason.questions.ledger import Ledger
from earthreason.questions.pricing import load_prices
from tests.questions.runs import config_of, generate
from tests.questions.test_runs import Splits, record


@pytest.mark.parametrize(
    "settings",
    [{"empty_share": 0}, {"empty_share": 1}, {"empty_share": 0, "votes": 3}, {"images": False}],
    ids=["targets", "absent", "votes", "no images"],
)
def test_calls_and_tokens_are_those_that_the_run_has(server, tmp_path, settings):
    server.counts = True
    source = Splits(train=[record(f"s{n}", shade=n) for n in range(6)])
    config = config_of(**settings)
    expected = {entry.stage: entry for entry in estimate(source, config, load_prices())}
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert generate(source, config, ledger, server).done == 6
    paid = {}
    for row in ledger.summary()["stages"]:
        known = paid.get(row["stage"], (0, 0, 0))
        paid[row["stage"]] = (
            known[0] + row["calls"],
            known[1] + row["input_tokens"],
            known[2] + row["output_tokens"],
        )
    assert set(paid) == set(expected) == {"propose", "rewrite", "judge"}
    for stage, (calls, read, written) in paid.items():
        assert expected[stage].calls == calls
        assert expected[stage].input_tokens == pytest.approx(read, rel=0.2)
        assert 0.5 * expected[stage].output_tokens < written < 1.2 * expected[stage].output_tokens
    pictures = sum(expected[stage].input_tokens for stage in ("propose", "judge"))
    if settings.get("images", True) and not settings.get("empty_share"):
        assert pictures > 6 * 2 * 4 * 765  # whole and crop, plain and tinted


def test_the_crop_of_a_small_target_is_counted(source):
    from earthreason.questions.budget import picture_tokens
    from earthreason.questions.prompting.pictures import TargetView
    from earthreason.questions.stages import propose_request
    from earthreason.questions.types import Hints

    prices, sample = load_prices(), record("a")
    whole, crop = (
        propose_request(Hints(), config_of().stages, view) for view in (TargetView(1), TargetView(1, (0, 0, 9, 9)))
    )
    assert picture_tokens(whole, sample, prices) == 2 * 255  # an image of 32 px is one tile
    assert picture_tokens(crop, sample, prices) == 2 * 255 + 2 * 765
    assert picture_tokens(propose_request(Hints(), config_of(images=False).stages), sample, prices) == 0
    assert picture_tokens(propose_request(Hints(), config_of("local").stages), sample, prices) == 0
