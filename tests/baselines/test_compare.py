"""The smallest suite runs to its end, goes on where it stopped, and its page says what the judge says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from typer.testing import CliRunner

from baselines.cli import app
from baselines.compare import suite as suite_module
from baselines.compare.report import write_page
from baselines.compare.scores import score_suite
from baselines.compare.suite import Suite, load_suite, run_suite
from earthreason import load_dataset
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.metrics.evaluate import evaluate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("suite")
    done = CliRunner().invoke(app, ["compare", "--suite", "smoke", "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out


def test_page_and_figures_are_written(finished):
    page = (finished / "comparison.md").read_text()
    for name in ("segearth_r1", "lisa", "pixellm", "psalm", "empty", "constant"):
        assert f"| {name} |" in page
    for link in re.findall(r"\]\((.*?)\)", page):
        assert (finished / link).stat().st_size > 1000
    assert (finished / "images/comparison/curves.pdf").read_bytes()[:4] == b"%PDF"


def test_the_papers_figures_stand_beside_different_models_and_not_beside_variants_of_one(finished, tmp_path):
    assert "## What the paper reports" in (finished / "comparison.md").read_text()
    smoke = load_suite("smoke")
    alone = smoke.model_copy(update={"title": "One", "trained": smoke.trained[:1]})
    write_page(tmp_path / "one.md", alone, score_suite(alone, run_suite(alone, finished)), "command", tmp_path)
    page = (tmp_path / "one.md").read_text()
    assert page.startswith("# One\n")
    assert "paper reports" not in page


def test_the_table_says_what_the_judge_says(finished):
    truth = load_dataset("earthreason", "sample", split="test[:20]")
    giou = [evaluate(finished / f"lisa-seed{seed}/predictions.json", truth, resamples=0)["gIoU"] for seed in (1, 2)]
    line = next(x for x in (finished / "comparison.md").read_text().splitlines() if x.startswith("| lisa |"))
    assert float(line.split("|")[2]) == pytest.approx(100 * np.mean(giou), abs=0.051)
    assert float(line.split("|")[4]) == pytest.approx(100 * abs(giou[0] - giou[1]), abs=0.051)


def test_the_score_of_a_group_is_the_mean_iou_of_its_questions_over_the_seeds(finished):
    rows = load_dataset("earthreason", "sample", split="test[:20]")
    truth = {row["sample_id"]: np.asarray(row["mask"]) > 0 for row in rows if row["reasoning_type"] == "function"}
    ious = []
    for seed in (1, 2):
        predictions = json.loads((finished / f"psalm-seed{seed}/predictions.json").read_text())["predictions"]
        for prediction in predictions:
            if (target := truth.get(prediction["sample_id"])) is not None:
                found = prediction["segmentation"]
                mask = np.zeros_like(target) if found is None else mask_utils.decode(found).astype(bool)
                union = (target | mask).sum()
                ious.append((target & mask).sum() / union if union else 1.0)
    page = (finished / "comparison.md").read_text()
    table = page.split("## gIoU by reasoning type\n\n")[1].split("\n\n")[0].splitlines()
    own = next(line for line in table if line.startswith("| psalm |")).split(" | ")
    score = own[table[0].split(" | ").index("function")].split()[0]
    assert len(ious) >= 10
    assert float(score) == pytest.approx(100 * np.mean(ious), abs=0.051)


def test_groups_stand_in_the_order_of_all_tables(finished):
    header = (finished / "comparison.md").read_text().split("## gIoU by target area\n\n")[1].splitlines()[0]
    assert header == "| model | empty | under 1 % | 1 to 5 % | 5 to 20 % | 20 % and more |"


def test_a_finished_suite_trains_and_predicts_nothing_again(finished, monkeypatch):
    def again(*_):
        raise AssertionError("done twice")

    monkeypatch.setattr(suite_module, "train", again)
    monkeypatch.setattr(suite_module, "predict_split", again)
    monkeypatch.setattr(suite_module, "build_predictor", again)
    rows = score_suite(load_suite("smoke"), run_suite(load_suite("smoke"), finished))
    assert rows[0].against_first is None
    assert all(row.against_first is not None for row in rows[1:])
    assert rows[0].entry.parameters > 100_000
    assert rows[0].entry.gflops > 0.01


@pytest.mark.parametrize("name", ["tiny", "ablations"])
def test_suites_are_scored_on_the_diagnostic_set_but_fitted_to_their_training_data(name, monkeypatch):
    loaded = []
    monkeypatch.setattr(suite_module, "load_dataset", lambda *names, **options: loaded.append((names, options)))
    suite = load_suite(name)
    assert (suite.test_config, suite.test_split) == ("diagnostic", "test")
    suite_module._training_rows(suite)
    assert loaded == [(("earthreason", "default"), {"split": "train", "data_dir": "scenes"})]


def test_models_of_different_size_are_refused(finished):
    smoke = load_suite("smoke").model_copy(update={"allowed_spread": 0.01})
    with pytest.raises(EarthReasonError, match="sizes differ too much"):
        run_suite(smoke, finished)


def test_the_models_of_the_real_suite_are_of_one_size_apart_from_their_words():
    from baselines.training.learner import build_learner

    suite = load_suite("tiny")
    words = [f"word{n} of a question about places {n}?" for n in range(3000)]
    base = suite.train.model.model_copy(update={"tokenizer": "learned"})  # of a small vocabulary
    sizes = []
    for variant in suite.trained:
        learner = build_learner(suite.train.model_copy(update={"model": variant.configure(base)}), lambda: words)
        sizes.append(sum(p.numel() for p in learner.model.parameters()))
    assert max(sizes) <= 1.05 * min(sizes)


def test_a_variant_changes_what_it_names_and_keeps_the_rest():
    suite = load_suite("ablations")
    base, *others = (variant.configure(suite.train.model).architecture for variant in suite.trained)
    assert all(other != base for other in others)
    assert all(other.no_target_head is base.no_target_head is True for other in others)
    assert {other.query for other in others} == {None, "seg"}


def test_a_variant_has_a_learning_rate_of_its_own_and_the_budget_of_all(tmp_path):
    suite = load_suite("tiny")
    rates = {v.name: suite.configure(v, 1, "run").optim.learning_rate for v in suite.trained}
    assert rates == {"segearth_r1": 1e-3, "lisa": 3e-4, "pixellm": 3e-4, "psalm": 1e-3}
    text = (ROOT / "configs/suites/smoke.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text.replace("segearth_r1]", "{name: fast, model: psalm, optim: {steps: 9}}]"))
    with pytest.raises(EarthReasonError, match="fast changes steps: all models must have the same budget"):
        load_suite(str(tmp_path / "a.yaml"))


def test_unknown_suites_and_models_are_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no suite 'tni' \(known: ablations, smoke, tiny\)"):
        load_suite("tni")
    text = (ROOT / "configs/suites/smoke.yaml").read_text()
    for change, words in (
        (("segearth_r1]", "plasm]"), "psalm"),
        (("seeds:", "seed:"), "seeds"),
        (("name: smoke", "- a"), "a.yaml"),
    ):
        (tmp_path / "a.yaml").write_text(text.replace(*change))
        with pytest.raises(EarthReasonError, match=words):
            load_suite(str(tmp_path / "a.yaml"))
    assert isinstance(load_suite("smoke"), Suite)
