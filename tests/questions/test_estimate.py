"""The estimate of costs against what a server counts of the requests that the run then sends."""

import pytest

from earthreason.questions.budget import picture_tokens
from earthreason.questions.estimate import estimate, input_tokens
from earthreason.questions.ledger import Ledger
from earthreason.questions.prompting.pictures import TargetView, picture_urls, view_record
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.stages import judge_request, propose_request, rewrite_request
from earthreason.questions.types import Hints
from tests.questions.fake_server import usage_of
from tests.questions.runs import config_of, generate
from tests.questions.test_runs import Splits, record


def requests():
    """A request of every prompt."""
    stages, view, absent = config_of().stages, view_record(record("a")), Hints(absent=True, concepts=("pier", "lake"))
    questions = [f"Where could traveller number {n} rest for an hour?" for n in range(9)]
    return {
        "propose": propose_request(Hints("pier"), stages, view),
        "absent": propose_request(absent, stages),
        "rewrite": rewrite_request(questions, "pier", stages),
        "judge": judge_request(questions, ["It is the pier."] * 5, "pier", Hints(), stages, view),
        "judge_absent": judge_request(questions, [], "pier", absent, stages),
    }


@pytest.mark.parametrize("name", requests())
def test_the_tokens_of_a_request_are_those_that_a_server_counts(name):
    request, sample = requests()[name], record("a")
    body = request.body(picture_urls(sample, request.pictures))
    counted = usage_of(body, "")["prompt_tokens"]
    assert input_tokens(request) + picture_tokens(request, sample, load_prices()) == pytest.approx(counted, rel=0.01)
    assert len(request.pictures) == {"propose": 4, "judge": 4, "rewrite": 0}.get(name, 1)


@pytest.mark.parametrize(
    "settings",
    [{"empty_share": 0}, {"empty_share": 1}, {"empty_share": 0, "votes": 3}, {"images": False}],
    ids=["targets", "absent", "votes", "no images"],
)
def test_calls_and_tokens_of_a_run_are_estimated_from_above(server, tmp_path, settings):
    server.counts = True
    source = Splits(train=[record(f"s{n}", shade=n) for n in range(6)])
    config = config_of(**settings)
    expected = {entry.stage: entry for entry in estimate(source, config, load_prices())}
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert generate(source, config, ledger, server).done == 6
    paid = {stage: [0, 0, 0] for stage in expected}
    for row in ledger.summary()["stages"]:
        for place, name in enumerate(("calls", "input_tokens", "output_tokens")):
            paid[row["stage"]][place] += row[name]
    for stage, (calls, read, written) in paid.items():
        assert expected[stage].calls == calls
        # The server's questions and reasons are shorter than those of models, and not all of them reach the judge.
        assert read * 0.99 < expected[stage].input_tokens < 1.45 * read
        assert written < expected[stage].output_tokens < 2.5 * written


def test_the_crop_of_a_small_target_is_counted():
    prices, sample = load_prices(), record("a")
    whole, crop = (
        propose_request(Hints(), config_of().stages, view) for view in (TargetView(1), TargetView(1, (0, 0, 9, 9)))
    )
    assert picture_tokens(whole, sample, prices) == 2 * 255  # an image of 32 px is one tile
    assert picture_tokens(crop, sample, prices) == 2 * 255 + 2 * 765
    assert picture_tokens(propose_request(Hints(), config_of(images=False).stages), sample, prices) == 0
    assert picture_tokens(propose_request(Hints(), config_of("local").stages), sample, prices) == 0
