"""`earthreason questions generate` as people call it: bad options, what is told before and after a run."""

import json
import re

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import EarthReasonError
from earthreason.questions.ledger import Ledger
from tests.conftest import write_sample
from tests.questions.runs import config_of, generate
from tests.questions.test_runs import run_command


def invoke(*arguments):
    return CliRunner().invoke(app, ["questions", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--model", ""),
        ("--judge-model", " "),
        ("--rewrite-model", "m\udcff"),
        ("--param", "x=\udcff"),
        ("--recipe", "a\nb"),
        ("--recipe", " "),
    ],
)
def test_an_option_that_no_server_or_file_takes_is_refused_before_anything_is_written(tmp_path, option, value):
    with pytest.raises(EarthReasonError, match=f"^{option}"):
        invoke("generate", "sample", "--out", tmp_path / "run", "--base-url", "http://127.0.0.1:9/v1", option, value)
    assert not (tmp_path / "run").exists()


def test_a_budget_that_cannot_be_kept_is_refused_before_anything_is_written(tmp_path):
    words = ("--out", tmp_path / "run", "--base-url", "http://127.0.0.1:9/v1", "--model", "gpt-9-zeta", "--max-usd", 1)
    with pytest.raises(EarthReasonError, match="^--max-usd cannot be kept: no price is known for gpt-9-zeta"):
        invoke("generate", "sample", *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("model", "share"), [("gpt-4o", 0.5), ("mistral/mistral-small-latest", 1.0)])
def test_a_dry_run_states_the_price_in_batches_of_the_model_in_use(tmp_path, model, share):
    told = invoke("generate", "sample", "--out", tmp_path / "run", "--dry-run", "--model", model).output
    normal, batch = map(float, re.search(r"about \$([\d.]+) \(\$([\d.]+) with --batch\)", told).groups())
    assert batch == pytest.approx(share * normal, abs=0.011)  # both are rounded to cents


def test_a_model_without_a_price_is_told_once_and_does_not_stop_a_run(server, tmp_path):
    done = invoke(*run_command(server, tmp_path / "run", "--limit", "1", "--model", "gpt-9-zeta")[1:])
    assert done.exit_code == 0
    assert done.stderr.count("no price is known for gpt-9-zeta: give --price IN,OUT") == 1


def test_parameters_that_a_server_refuses_are_not_said_to_have_been_sent(server, source, tmp_path):
    def refuse(body):
        if "temperature" in body:
            return "Unsupported value: 'temperature' does not support 0.3 with this model."
        if "max_tokens" in body:
            return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return None

    server.refuse = refuse
    ledger = Ledger(tmp_path / "ledger.sqlite")
    config = config_of(limit=1, empty_share=0, parameters={"temperature": 0.3, "max_tokens": 900})
    generate(source, config, ledger, server)
    ((_, result),) = ledger.results()
    for said in (*result.origins, *result.provenance):
        assert said["parameters"] == {"max_completion_tokens": 900}


def test_samples_that_cannot_be_read_are_named_and_change_the_exit_code(server, tmp_path):
    for stem in ("a", "b", "c"):
        write_sample(tmp_path / "set" / "test", stem)
    (picture,) = (tmp_path / "set" / "test" / "images").glob("b.*")
    picture.write_bytes(picture.read_bytes()[:40])
    command = run_command(server, tmp_path / "run")[1:]
    command[1] = str(tmp_path / "set")
    with pytest.raises(EarthReasonError, match=r"1 of 3 samples of test .*--max-left-out"):
        invoke(*command)
    done = invoke(*command, "--max-left-out", "0.5")
    assert done.exit_code == 3
    assert "1 sample left out" in done.stderr
    assert "b" in done.stderr
    assert json.loads(invoke("status", tmp_path / "run", "--json", "-").stdout)["samples"] == {"done": 2}
