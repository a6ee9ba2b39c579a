"""A search tries the same settings for every model, goes on where it stopped, and comparisons use what it found."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from baselines.cli import app
from baselines.compare import runs as runs_module
from baselines.compare.suite import load_suite
from baselines.compare.tune import tune_suite
from baselines.psalm import learner
from baselines.training.config import OptimConfig
from baselines.training.records import read_metric
from earthreason.errors import EarthReasonError

ROOT = Path(__file__).resolve().parents[2]
RATES = [3e-4, 1e-3]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Search two settings of two models with the smoke suite's two steps; return the suite's file."""
    folder = tmp_path_factory.mktemp("tune")
    values = yaml.safe_load((ROOT / "baselines/configs/suites/smoke.yaml").read_text())
    values |= {"registered": False, "trained": ["segearth_r1", "psalm"]}
    values["grid"] = {"learning_rate": RATES, "loss_weights": [{"bce": 5.0, "dice": 5.0}]}
    suite = folder / "small.yaml"
    suite.write_text(yaml.safe_dump(values))
    run_again(suite)
    return suite


def run_again(suite):
    done = CliRunner().invoke(app, ["tune", "--suite", str(suite), "--out", str(suite.parent / "runs")])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_record_holds_all_trials_of_all_models_with_their_validation_scores(searched):
    record = yaml.safe_load((searched.parent / "tuned/small.yaml").read_text())
    assert record["trials"].keys() == record["chosen"].keys() == {"segearth_r1", "psalm"}
    for name, trials in record["trials"].items():
        assert [trial["settings"]["learning_rate"] for trial in trials] == RATES
        runs = [searched.parent / f"runs/{name}-trial{k}/metrics.csv" for k in range(2)]
        scores = [read_metric(run, "validation_gIoU targets")[2] for run in runs]
        assert [trial["targets_giou"] for trial in trials] == scores
        best = max(trials, key=lambda trial: trial["targets_giou"])
        assert record["chosen"][name] == best["settings"]
    assert record["command"] == f"earthreason-baselines tune --suite {searched} --out {searched.parent / 'runs'}"


def test_a_comparison_trains_with_what_was_found(searched):
    suite = load_suite(str(searched))
    for variant in suite.trained:
        optim, chosen = suite.configure(variant, 1, "run").optim, suite.tuning.chosen[variant.name]
        assert optim.learning_rate == chosen["learning_rate"]
        assert (optim.loss_weights.bce, optim.loss_weights.dice) == (5, 5)
        assert optim.steps == 2


def test_a_finished_search_trains_nothing_again(searched, monkeypatch):
    before = (searched.parent / "tuned/small.yaml").read_text()
    monkeypatch.setattr(runs_module, "train", lambda *_: pytest.fail("trained again"))
    assert "record:" in run_again(searched)
    assert (searched.parent / "tuned/small.yaml").read_text() == before


def copied(searched, tmp_path, change=lambda text: text):
    (tmp_path / "tuned").mkdir()
    (tmp_path / "small.yaml").write_text(searched.read_text())
    (tmp_path / "tuned/small.yaml").write_text(change((searched.parent / "tuned/small.yaml").read_text()))
    return tmp_path / "small.yaml"


def test_the_record_of_another_search_is_refused(searched, tmp_path):
    suite = copied(searched, tmp_path)
    values = yaml.safe_load(suite.read_text())
    for change, words in (
        ({"grid": {"learning_rate": [1e-3]}}, "search with another grid"),
        ({"trained": ["segearth_r1", "lisa"]}, "search with another models"),
        ({"train": values["train"] | {"precision": "bf16"}}, "search with another precision; remove it and run"),
    ):
        suite.write_text(yaml.safe_dump(values | change))
        with pytest.raises(EarthReasonError, match=words):
            load_suite(str(suite))


def test_a_record_that_was_edited_is_refused(searched, tmp_path):
    suite = copied(searched, tmp_path, lambda text: text.replace("targets_giou: 0", "targets_giou: 3", 1))
    with pytest.raises(EarthReasonError, match="targets_giou"):
        load_suite(str(suite))
    record = suite.parent / "tuned/small.yaml"
    values = yaml.safe_load((searched.parent / "tuned/small.yaml").read_text())
    values["chosen"]["psalm"] = {"learning_rate": 0.5}
    record.write_text(yaml.safe_dump(values))
    with pytest.raises(EarthReasonError, match="not those of the best trials"):
        load_suite(str(suite))
    values["trials"]["psalm"] = values["trials"]["psalm"][:1]
    record.write_text(yaml.safe_dump(values))
    with pytest.raises(EarthReasonError, match="different numbers of trials"):
        load_suite(str(suite))


def test_settings_searched_on_other_data_are_refused(searched, tmp_path):
    record = yaml.safe_load((searched.parent / "tuned/small.yaml").read_text())
    suite = copied(searched, tmp_path, lambda text: text.replace(record["training_data"], "f" * 64))
    with pytest.raises(EarthReasonError, match="searched on other data; run earthreason-baselines tune"):
        runs_module.run_suite(load_suite(str(suite)), tmp_path / "runs")


def test_settings_searched_for_models_of_other_sizes_are_refused(searched, tmp_path, monkeypatch):
    assert load_suite(str(copied(searched, tmp_path))).tuning.models.keys() == {"segearth_r1", "psalm"}
    monkeypatch.setitem(learner._PARTS, "mini", learner._PARTS["mini"] | {"queries": 9})
    with pytest.raises(EarthReasonError, match="searched on other models; run earthreason-baselines tune"):
        runs_module.run_suite(load_suite(str(tmp_path / "small.yaml")), tmp_path / "runs")


def test_a_suite_that_extends_another_trains_as_that_does_with_what_was_found_for_it(searched, tmp_path):
    base = load_suite(str(copied(searched, tmp_path)))
    ablated = {"name": "half", "model": "psalm", "architecture": {"connector_strides": [2, 1]}}
    values = {"name": "b", "extends": str(tmp_path / "small.yaml"), "trained": [ablated], "allowed_spread": 0.5}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(values))
    suite = load_suite(str(tmp_path / "b.yaml"))
    assert (suite.seeds, suite.train, suite.data_command) == (base.seeds, base.train, base.data_command)
    own, full = suite.configure(suite.trained[0], 1, "run"), base.configure(base.trained[1], 1, "run")
    assert own.optim == full.optim != base.train.optim
    assert own.model.architecture.connector_strides == (2, 1) != full.model.architecture.connector_strides
    for change, words in (
        (
            {"grid": {"learning_rate": [1e-3]}, "train": {}},
            r"grid, train: it is that of the suite extended, .*; leave it out",
        ),
        ({"extends": str(tmp_path / "b.yaml")}, "extends .*b.yaml, which extends .*small.yaml; extend that one"),
        ({"trained": ["lisa"]}, "the search of .*small.yaml was not for lisa"),
    ):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(values | change))
        with pytest.raises(EarthReasonError, match=words):
            load_suite(str(tmp_path / "c.yaml"))
    with pytest.raises(EarthReasonError, match=r"b uses what is found for .*small.yaml; run tune --suite"):
        tune_suite(suite, tmp_path, "command")


def test_a_trial_that_diverges_has_no_score_and_counts(searched, tmp_path, monkeypatch):
    suite = load_suite(str(searched), searched=False)

    def train(config, folder):
        if config.optim.learning_rate == RATES[1]:
            (folder / "nan").mkdir()
            (folder / "nan/stopped.txt").write_text("the loss of step 1 is nan")
            raise EarthReasonError("the loss of step 1 is nan")
        (folder / "run.json").write_text("{}")
        scores = {"1,validation_gIoU targets": 0.9, "2,validation_gIoU targets": 0.25, "2,validation_gIoU": 0.7}
        (folder / "metrics.csv").write_text("step,name,value\n" + "".join(f"{k},{v}\n" for k, v in scores.items()))

    monkeypatch.setattr(runs_module, "train", train)
    tuning = tune_suite(suite, tmp_path, "command")
    assert {name: [trial.targets_giou for trial in trials] for name, trials in tuning.trials.items()} == {
        "segearth_r1": [0.25, None],
        "psalm": [0.25, None],
    }
    assert tuning.chosen["psalm"]["learning_rate"] == RATES[0]
    monkeypatch.setattr(runs_module, "train", lambda *_: pytest.fail("tried again"))
    assert tune_suite(suite, tmp_path, "command") == tuning


def test_other_errors_of_a_training_end_the_search(searched, tmp_path, monkeypatch):
    def train(*_):
        raise EarthReasonError("no space left")

    monkeypatch.setattr(runs_module, "train", train)
    with pytest.raises(EarthReasonError, match="no space left"):
        tune_suite(load_suite(str(searched), searched=False), tmp_path, "command")


def test_every_model_of_a_suite_can_take_every_setting_of_its_grid():
    for name in ("smoke", "tiny"):
        suite = load_suite(name, searched=False)
        assert len(suite.trials()) >= 4
        for variant in suite.trained:
            for settings in suite.trials():
                config = suite.configure_trial(variant, settings, "trial")
                assert config.seed not in suite.seeds
                assert config.optim.learning_rate == settings["learning_rate"]
                assert isinstance(config.optim, OptimConfig)


def test_a_grid_changes_no_budget_and_its_seed_is_in_no_run(tmp_path):
    text = (ROOT / "baselines/configs/suites/smoke.yaml").read_text()
    for old, new, words in (
        ("  learning_rate: [3.0e-4, 1.0e-3]\n", "  steps: [2, 4]\n", "changes steps"),
        ("seeds: [1, 2]", "seeds: [0, 1]", "seed 0 is that of the search"),
        ("learning_rate: [3.0e-4", "learning_rate: [-1", "learning_rate"),
    ):
        assert old in text
        (tmp_path / "a.yaml").write_text(text.replace(old, new))
        with pytest.raises(EarthReasonError, match=words):
            load_suite(str(tmp_path / "a.yaml"))
