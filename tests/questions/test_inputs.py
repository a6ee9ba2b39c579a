"""Estimates, price tables, prompts and the choice of questions; no model is asked."""

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.questions.estimate import estimate
from earthreason.questions.prompting.prompts import load_prompts
from earthreason.questions.servers.pricing import ModelPrice, image_tokens, load_prices
from earthreason.questions.servers.replies import strict_schema
from earthreason.questions.stages import select_diverse
from earthreason.questions.types import Absence, AbsenceReview, JudgeReply, Proposal, Rewriting
from tests.questions.runs import config_of


def test_the_estimate_of_a_model_without_a_price_is_unknown_not_nothing(tmp_path):
    result = CliRunner().invoke(
        app,
        [
            "questions",
            "generate",
            "sample",
            "--out",
            str(tmp_path / "run"),
            "--limit",
            "1",
            "--model",
            "foo",
            "--dry-run",
        ],
    )
    assert "unknown, no price is known for foo: give --price IN,OUT" in result.output
    assert "$0.00" not in result.output


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((512, 512), 85 + 170), ((1024, 1024), 85 + 4 * 170), ((2048, 4096), 85 + 6 * 170), ((7617, 7617), 85 + 4 * 170)],
)
def test_image_tokens_follow_the_documented_examples(size, tokens):
    assert image_tokens(ModelPrice(input=1, output=1), *size) == tokens


def test_the_estimate_counts_every_stage(source):
    found = {entry.stage: entry for entry in estimate(source, config_of(limit=10, empty_share=0), load_prices())}
    assert [entry.calls for entry in found.values()] == [10, 10, 10]
    assert found["judge"].input_tokens > found["rewrite"].input_tokens
    assert found["propose"].usd == pytest.approx(
        (found["propose"].input_tokens * 2.5 + found["propose"].output_tokens * 10) / 1e6
    )
    unknown = estimate(source, config_of("local", limit=1), load_prices())
    assert {entry.usd for entry in unknown} == {None}


def test_price_tables_and_prompts_of_ones_own_are_checked(tmp_path):
    (tmp_path / "prices.json").write_text('{"as_of": "x", "models": {"m": {"input": -1, "output": 1}}}')
    with pytest.raises(DataFormatError, match="models.m.input"):
        load_prices(tmp_path / "prices.json")
    with pytest.raises(DataNotFoundError, match="no price table"):
        load_prices(tmp_path / "none.json")
    with pytest.raises(DataNotFoundError, match="has no prompts"):
        load_prompts(tmp_path)
    (tmp_path / "judge.md").write_text("no version here\n")
    with pytest.raises(DataFormatError, match="first line"):
        load_prompts(tmp_path)


def test_the_most_different_questions_are_chosen():
    alike = [f"Where could a ship number {n} unload its cargo?" for n in range(6)]
    chosen = select_diverse([*alike, "Which roof collects rain?", "What burns after a dry summer?"], 3)
    assert chosen[0] == alike[0]
    assert {"Which roof collects rain?", "What burns after a dry summer?"} < set(chosen)


@pytest.mark.parametrize(
    ("reply", "description"),
    [
        (Proposal, "First questions and answers about a target, and its name."),
        (
            Absence,
            "What an image holds, and questions about a listed concept that it certainly does not hold.",
        ),
        (Rewriting, "Other wordings of questions."),
        (
            JudgeReply,
            "What the marked region is, whether its name fits, and verdicts on all questions and answers.",
        ),
        (
            AbsenceReview,
            "What could count as the concept, whether the image is without it, and verdicts on all questions.",
        ),
    ],
)
def test_the_schemas_are_those_of_ledgers_that_were_paid_for(reply, description):
    schema = strict_schema(reply)
    assert schema["description"] == description
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False
