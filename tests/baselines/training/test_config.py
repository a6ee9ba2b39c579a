import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from baselines.cli import app
from baselines.training import loop
from baselines.training.config import load_config
from baselines.training.learner import build_learner
from baselines.training.order import Order, micro_batches, pass_seed
from baselines.training.pace import rate_at
from earthreason.errors import DataNotFoundError, EarthReasonError

CONFIGS = Path(__file__).resolve().parents[3] / "baselines" / "configs" / "segearth_r1"


@pytest.mark.parametrize(
    ("preset", "samples", "steps"), [("earthreason", 2371, 2220), ("rrsis-d", 12181, 7610), ("refsegrs", 2172, 5400)]
)
def test_presets_have_the_papers_number_of_steps_and_recipe(preset, samples, steps):
    config = load_config(CONFIGS / f"{preset}.yaml")
    assert config.optim.epochs * Order(samples, config.optim.global_batch, 0).steps_per_epoch == steps
    optim = config.optim
    assert (optim.learning_rate, optim.weight_decay, optim.warmup_share, optim.clip) == (1e-4, 0, 0.03, 0)
    assert config.model.freeze_vision
    assert config.data.task == ("reasoning" if preset == "earthreason" else "referring")
    # The authors: a random question. Referring sets have one expression per sample.
    assert config.data.question == ("random" if preset == "earthreason" else "first")
    assert (optim.max_skipped, optim.dice_on_empty, optim.point_padding) == (0, True, "zeros")
    assert not config.data.category_maps


def test_overrides_win_and_are_typed():
    config = load_config(CONFIGS / "small.yaml", ["optim.learning_rate=3e-5", "optim.steps=7", "data.question=first"])
    assert (config.optim.learning_rate, config.optim.steps, config.data.question) == (3e-5, 7, "first")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optim.learning_rat=1", "did you mean 'learning_rate'"),
        ("optim.minutes=3", "steps or minutes, not both .steps=null"),
        ("validate_minutes=1", "validate_minutes needs optim.minutes"),
        ("workers=some", "workers"),
        ("optm.steps=1", "did you mean 'optim'"),
        ("optim.steps=-1", "optim.steps: .*greater than or equal to 1"),
        ("data.question=last", "data.question"),
        ("seed.more=1", "seed: .*valid integer"),
        ("steps", "key=value"),
        ("optim.betas=[0.9", "not YAML.*left open"),
    ],
)
def test_a_wrong_override_is_named(override, words):
    with pytest.raises(EarthReasonError, match=words):
        load_config(CONFIGS / "small.yaml", [override])


@pytest.mark.parametrize("model", ["lisa", "pixellm", "psalm"])
def test_the_tiny_preset_suits_every_model_as_the_page_says(model):
    page = (CONFIGS.parents[2] / "docs" / "baselines.md").read_text()
    changes = shlex.split(page.partition("--out runs/lisa \\\n")[2].partition("\n```")[0])
    assert len(changes) == 2
    config = load_config(CONFIGS / "tiny.yaml", [f"model.name={model}", "model.tokenizer=bytes", *changes])
    assert type(build_learner(config, list).model).__name__.lower() == f"{model}model"


def test_precision_no_needs_no_quotes(tmp_path):
    assert load_config(CONFIGS / "tiny-gpu.yaml", ["precision=no"]).precision == "no"
    path = tmp_path / "run.yaml"
    path.write_text("precision: no\n")
    assert load_config(path).precision == "no"


def test_a_run_by_the_clock_takes_the_steps_of_a_preset_away():
    config = load_config(CONFIGS / "small.yaml", ["optim.steps=null", "optim.minutes=3", "validate_minutes=1"])
    assert (config.optim.steps, config.optim.minutes) == (None, 3)


def test_replayed_steps_are_one_pass_without_a_scaler():
    for overrides in (["optim.micro_batch=4"], ["precision=fp16"]):
        with pytest.raises(EarthReasonError, match="model.replay needs optim.micro_batch=optim.global_batch"):
            load_config(CONFIGS / "small.yaml", ["model.replay=true", *overrides])


def test_a_file_that_is_no_configuration_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match="no configuration"):
        load_config(tmp_path / "none.yaml")
    for text, words in ((b"a: [", "not YAML"), (b"- 1", "keys and values"), (b"\xff\xfea", "not UTF-8 text")):
        (tmp_path / "a.yaml").write_bytes(text)
        with pytest.raises(EarthReasonError, match=words):
            load_config(tmp_path / "a.yaml")


@given(st.integers(1, 200), st.integers(1, 16), st.integers(0, 5))
def test_an_epoch_shows_every_sample_at_most_once(samples, batch, seed):
    order = Order(samples, batch, seed)
    if not order.steps_per_epoch:
        return
    rows = np.concatenate([order.rows(step) for step in range(order.steps_per_epoch)])
    assert len(set(rows.tolist())) == len(rows) == samples // batch * batch
    assert order.epoch_of(order.steps_per_epoch) == 1


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 4]))
def test_processes_share_the_passes_without_changing_them(size, factor, ranks):
    rows = np.arange(size * factor * ranks)
    alone = {number: part.tolist() for number, part in micro_batches(rows, size, 0, 1)}
    shared = [micro_batches(rows, size, rank, ranks) for rank in range(ranks)]
    assert {number: part.tolist() for parts in shared for number, part in parts} == alone
    assert len({len(parts) for parts in shared}) == 1


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="multiple of optim.micro_batch"):
        micro_batches(np.arange(6), 2, 0, 2)


def test_draws_differ_by_step_and_pass():
    seeds = {pass_seed(0, step, number) for step in range(20) for number in range(5)}
    assert len(seeds) == 100


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [rate_at(step / 100, 0.1) for step in range(101)]
    assert rates[0] == 0
    assert rates[10] == 1
    assert max(rates) == 1
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_the_command_says_how_to_predict_with_the_model_it_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "train", lambda settings, out: out / "final")
    arguments = ["train", "psalm", "--config", str(CONFIGS / "tiny.yaml"), "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert f"predict --model psalm --checkpoint {tmp_path / 'final'}" in result.output


@pytest.mark.parametrize("key", ["optim.learning_rate", "optim.clip", "optim.category_weight", "optim.weight_decay"])
@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_settings_that_are_not_finite_are_refused(key, value):
    with pytest.raises(EarthReasonError, match=f"{key}: "):
        load_config(CONFIGS / "tiny.yaml", [f"{key}={value}"])
