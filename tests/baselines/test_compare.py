"""The smallest suite runs to its end, goes on where it stopped, and its page says what the judge says."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from typer.testing import CliRunner

from baselines.cli import app
from baselines.compare import runs as runs_module
from baselines.compare import scores as scores_module
from baselines.compare.figures import draw_curves, draw_speed, new_figure
from baselines.compare.report import write_page
from baselines.compare.runs import SuiteEntry, run_suite
from baselines.compare.scores import ScoreRow, score_suite, what_is_lacking
from baselines.compare.suite import Suite, load_suite
from baselines.compare.tuning import Tuning
from baselines.lisa import learner as lisa
from earthreason import load_dataset
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.statistics import Interval

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


def test_every_model_is_compared_with_the_first_and_has_the_training_time_of_all_seeds(finished):
    truth = load_dataset("earthreason", "sample", split="test[:20]")

    def giou(name):
        files = [finished / f"{name}-seed{seed}/predictions.json" for seed in (1, 2)]
        return np.mean([evaluate(file, truth, resamples=0)["gIoU"] for file in files])

    rows = score_suite(load_suite("smoke"), run_suite(load_suite("smoke"), finished))
    first, *others = [row.entry.name for row in rows if row.entry.curves]
    for name, row in zip(others, rows[1:], strict=False):
        assert row.against_first.value == pytest.approx(giou(name) - giou(first))
        runs = [json.loads((finished / f"{name}-seed{seed}/run.json").read_text()) for seed in (1, 2)]
        assert row.entry.seconds == pytest.approx(sum(run["seconds"] for run in runs))
    assert len(others) == 3


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

    monkeypatch.setattr(runs_module, "train", again)
    monkeypatch.setattr(runs_module, "predict_split", again)
    monkeypatch.setattr(runs_module, "build_predictor", again)
    rows = score_suite(load_suite("smoke"), run_suite(load_suite("smoke"), finished))
    assert rows[0].against_first is None
    assert all(row.against_first is not None for row in rows[1:])
    assert rows[0].entry.parameters > 100_000
    assert rows[0].entry.gflops > 0.01


def copied_run(finished, out, name="segearth_r1"):
    """Copy the runs of one model into another folder; return a suite of that model alone."""
    for seed in (1, 2):
        shutil.copytree(finished / f"{name}-seed{seed}", out / f"{name}-seed{seed}")
    shutil.copy(finished / f"{name}.json", out)
    smoke = load_suite("smoke")
    variant = next(variant for variant in smoke.trained if variant.name == name)
    return smoke.model_copy(update={"trained": (variant,), "trivial": ()})


def changed(suite, part, **values):
    train = suite.train.model_copy(update={part: getattr(suite.train, part).model_copy(update=values)})
    return suite.model_copy(update={"train": train})


def test_runs_of_other_settings_are_refused_before_anything_is_trained(finished, tmp_path, monkeypatch):
    suite = copied_run(finished, tmp_path)
    monkeypatch.setattr(runs_module, "train", lambda *_: pytest.fail("trained"))
    remedy = r"; use another --out, or remove that folder$"
    for other, words in (
        (changed(suite, "optim", steps=40), r"segearth_r1-seed1 is another run: it has optim.steps 2 instead of 40"),
        (changed(suite, "optim", learning_rate=1e-2), r"optim.learning_rate 0.001 instead of 0.01"),
        (
            changed(suite, "data", train="train[:50]"),
            r"data.train \"train\" instead of \"train\[:50\]\", training_data",
        ),
        (
            suite.model_copy(update={"test_split": "test[:10]"}),
            r'test "sample/test\[:20\]" instead of "sample/test\[:10\]"',
        ),
    ):
        with pytest.raises(EarthReasonError, match=words + r".*" + remedy):
            run_suite(other, tmp_path)


def test_runs_of_a_model_of_another_size_are_refused(finished, tmp_path, monkeypatch):
    suite = copied_run(finished, tmp_path, "lisa")
    monkeypatch.setattr(runs_module, "train", lambda *_: pytest.fail("trained"))
    monkeypatch.setitem(lisa._WIDTHS, "mini", (32, 3, *lisa._WIDTHS["mini"][2:]))
    with pytest.raises(EarthReasonError, match=r"another run: it has architecture \w{12} instead of \w{12};"):
        run_suite(suite, tmp_path)


def test_a_model_under_the_name_of_another_is_refused(finished, tmp_path):
    suite = copied_run(finished, tmp_path, "psalm")
    swapped = suite.trained[0].model_copy(update={"model": "segearth_r1"})
    with pytest.raises(EarthReasonError, match='model.name "psalm" instead of "segearth_r1"'):
        run_suite(suite.model_copy(update={"trained": (swapped,)}), tmp_path)


def test_a_run_of_unknown_origin_is_refused(finished, tmp_path):
    suite = copied_run(finished, tmp_path)
    (tmp_path / "segearth_r1-seed2" / "identity.json").unlink()
    with pytest.raises(
        EarthReasonError, match=r"segearth_r1-seed2 has no identity.json .*; use another --out, or remove"
    ):
        run_suite(suite, tmp_path)


def test_what_changes_no_score_and_the_place_of_the_data_may_change(finished, tmp_path, monkeypatch):
    suite = copied_run(finished, tmp_path)
    monkeypatch.setattr(runs_module, "train", lambda *_: pytest.fail("trained"))
    train = suite.train.model_copy(update={"workers": 1, "log_every": 7, "save_every": 9})
    run_suite(suite.model_copy(update={"train": train}), tmp_path)


def test_a_model_that_was_trained_again_is_predicted_and_measured_again(finished, tmp_path, monkeypatch):
    suite = copied_run(finished, tmp_path)
    run = tmp_path / "segearth_r1-seed2"
    settings = json.loads((run / "final/config.json").read_text())
    (run / "final/config.json").write_text(json.dumps({**settings, "no_target_threshold": 0.125}))
    (run / "predictions.json.partial").mkdir()
    (run / "predictions.json.partial/run.json").write_text("{}")  # of the weights before: to resume it would fail
    predicted, before = [], json.loads((tmp_path / "segearth_r1.json").read_text())

    def predict(*arguments):
        predicted.append(arguments[-1])
        return runs_predict(*arguments)

    runs_predict = runs_module.predict_split
    monkeypatch.setattr(runs_module, "predict_split", predict)
    run_suite(suite, tmp_path)
    assert predicted == [run / "predictions.json"]
    assert json.loads((run / "predictions.json").read_text())["info"]["no_target_threshold"] == 0.125
    after = json.loads((tmp_path / "segearth_r1.json").read_text())
    assert after["of"] != before["of"]
    run_suite(suite, tmp_path)
    assert len(predicted) == 1


def test_the_page_has_the_command_that_ran(finished):
    assert f"`earthreason-baselines compare --suite smoke --out {finished}`" in (finished / "comparison.md").read_text()


def test_few_seeds_or_scenes_give_no_p_values_and_the_page_says_so(finished):
    page = " ".join((finished / "comparison.md").read_text().split())
    assert "There are no p-values, as there are 2 seeds, fewer than 5 and 20 scenes, fewer than 1,000" in page
    assert ", p " not in page
    assert what_is_lacking(5, 1000) is None
    assert what_is_lacking(4, 1000) == "4 seeds, fewer than 5"
    assert what_is_lacking(5, 999) == "999 scenes, fewer than 1,000"


def test_enough_seeds_and_scenes_give_p_values_corrected_for_all_comparisons(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(scores_module, "MIN_SEEDS", 2)
    monkeypatch.setattr(scores_module, "MIN_SCENES", 20)
    suite = load_suite("smoke")
    rows = score_suite(suite, run_suite(suite, finished))
    found = np.array([row.corrected_p for row in rows[1:]])
    plain = np.array([row.against_first.p_value for row in rows[1:]])
    order = np.argsort(plain, kind="stable")
    expected = np.minimum(1, np.maximum.accumulate(plain[order] * np.arange(len(plain), 0, -1)))  # Holm 1979
    assert found[order] == pytest.approx(expected)
    assert rows[0].corrected_p is None
    write_page(tmp_path / "a.md", suite, rows, "command", tmp_path)
    page = (tmp_path / "a.md").read_text()
    assert f"corrected by Holm for {len(rows) - 1} comparisons" in page
    assert page.count(", p ") == len(rows) - 1


def test_the_page_states_the_search_that_chose_the_settings(finished, tmp_path):
    smoke = load_suite("smoke")
    rows = score_suite(smoke, run_suite(smoke, finished))
    names = [variant.name for variant in smoke.trained]
    trials = [{"settings": settings, "targets_giou": 0.1} for settings in smoke.trials()]
    best = {"settings": smoke.trials()[2], "targets_giou": 0.2}
    tuning = Tuning(
        command="earthreason-baselines tune --suite smoke",
        grid=smoke.grid,
        models={},
        training={},
        training_data="",
        validation_data="",
        chosen=dict.fromkeys(names, smoke.trials()[2]),
        trials={name: [*trials[:2], best, trials[3]] for name in names},
    )
    write_page(tmp_path / "a.md", smoke.model_copy(update={"tuning": tuning}), rows, "command", tmp_path)
    assert (
        "`earthreason-baselines tune --suite smoke` searched settings, 4 trials for each model: all combinations of "
        "learning_rate 0.0003, 0.001; loss_weights (bce 2.0, dice 0.5), (bce 5.0, dice 5.0). The highest gIoU of "
        "validation questions with a target won. Found for segearth_r1: learning_rate 0.001, bce 2.0, dice 0.5; "
    ) in (tmp_path / "a.md").read_text()
    assert "Variants of a model" not in (tmp_path / "a.md").read_text()
    alone = smoke.model_copy(update={"tuning": tuning, "trained": smoke.trained[:1], "extends": "smoke"})
    write_page(tmp_path / "c.md", alone, rows, "command", tmp_path)
    found = "Found for segearth_r1: learning_rate 0.001, bce 2.0, dice 0.5. The learning_rate found for segearth_r1 is"
    assert found in (tmp_path / "c.md").read_text()
    assert "Variants of a model use what was found for it." in (tmp_path / "c.md").read_text()
    wider = tuning.model_copy(update={"grid": {**smoke.grid, "learning_rate": [3e-4, 1e-3, 3e-3]}})
    end = "is at the end of the grid"
    assert f"The learning_rate found for {', '.join(names)} {end}" in (tmp_path / "a.md").read_text()
    write_page(tmp_path / "b.md", smoke.model_copy(update={"tuning": wider}), rows, "command", tmp_path)
    assert end not in (tmp_path / "b.md").read_text()


def test_figures_draw_every_model_in_a_look_of_its_own():
    from matplotlib.figure import Figure

    rows = [
        ScoreRow(
            SuiteEntry(f"m{k}", (), 10.0**k, curves=({1: 0.1, 2: 0.2},) if k < 10 else ()),
            (),
            {"gIoU": 0.3},
            0.0,
            Interval(0.2, 0.4),
            {},
        )
        for k in range(16)
    ]
    for draw, shown in ((draw_curves, 10), (draw_speed, 16)):
        axis = Figure().subplots()
        draw(axis, rows)
        handles, labels = axis.get_legend_handles_labels()
        assert labels == [f"m{k}" for k in range(shown)]
        lines = [handle if draw is draw_curves else handle.lines[0] for handle in handles]
        assert len({(line.get_color(), line.get_marker()) for line in lines}) == shown


@pytest.mark.parametrize("speeds", [(77.4, 77.9, 78.1, 79.0), (20.0, 150.0), (46.0, 27.0, 5e3, 1e8), (7.0,)])
def test_the_speeds_on_the_axis_do_not_run_into_each_other(speeds):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure()
    axis = figure.subplots()
    draw_speed(axis, [ScoreRow(SuiteEntry(f"m{s}", (), s), (), {"gIoU": 0.3}, 0.0, None, {}) for s in speeds])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    low, high = axis.get_xlim()
    labels = [label for label in axis.get_xticklabels(which="both") if label.get_text()]
    boxes = sorted((label.get_window_extent(canvas.get_renderer()) for label in labels), key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert low < min(speeds)
    assert max(speeds) < high


@pytest.mark.parametrize("name", ["tiny", "ablations"])
def test_suites_are_scored_on_the_diagnostic_set_but_fitted_to_their_training_data(name, monkeypatch):
    loaded = []
    monkeypatch.setattr(runs_module, "load_dataset", lambda *names, **options: loaded.append((names, options)))
    suite = load_suite(name)
    assert (suite.test_config, suite.test_split) == ("diagnostic", "test")
    runs_module._rows_of(suite.train, suite.train.data.train)
    assert loaded == [(("earthreason", "default"), {"split": "train", "data_dir": "scenes"})]


def test_models_of_different_size_are_refused(finished):
    smoke = load_suite("smoke").model_copy(update={"allowed_spread": 0.01})
    with pytest.raises(EarthReasonError, match="sizes differ too much"):
        run_suite(smoke, finished)


def test_the_models_of_the_real_suite_are_of_one_size_with_its_words():
    from baselines.training.learner import build_learner

    suite = load_suite("tiny")
    rows = 11_537  # words of MiniLM that occur in the suite's training data; the tables here are smaller
    base = suite.train.model.model_copy(update={"tokenizer": "learned"})
    sizes = []
    for variant in suite.trained:
        model = build_learner(suite.train.model_copy(update={"model": variant.configure(base)}), list).model
        words = model.get_input_embeddings()
        tables = 2 if model.learns_replies else 1
        missing = tables * (rows - words.num_embeddings) * words.embedding_dim
        sizes.append(sum(p.numel() for p in model.parameters()) + missing)
    assert max(sizes) <= 1.05 * min(sizes)
    assert min(sizes) > 8_000_000


def test_a_variant_changes_what_it_names_and_keeps_the_rest():
    suite = load_suite("ablations")
    base, *others = (variant.configure(suite.train.model).architecture for variant in suite.trained)
    assert all(other != base for other in others)
    assert all(other.no_target_head is base.no_target_head is True for other in others)
    assert {other.query for other in others} == {None, "seg"}


def test_a_variant_has_a_learning_rate_of_its_own_and_the_budget_of_all(tmp_path):
    suite = load_suite("tiny", searched=False)
    rates = {v.name: suite.configure(v, 1, "run").optim.learning_rate for v in suite.trained}
    assert rates == {"segearth_r1": 1e-3, "lisa": 3e-4, "pixellm": 3e-4, "psalm": 1e-3}
    text = (ROOT / "baselines/configs/suites/smoke.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text.replace("segearth_r1]", "{name: fast, model: psalm, optim: {steps: 9}}]"))
    with pytest.raises(EarthReasonError, match="fast changes steps: all models must have the same budget"):
        load_suite(str(tmp_path / "a.yaml"))


def test_unknown_suites_and_models_are_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no suite 'tni' \(known: ablations, smoke, tiny\)"):
        load_suite("tni")
    text = (ROOT / "baselines/configs/suites/smoke.yaml").read_text()
    for change, words in (
        (("segearth_r1]", "plasm]"), "psalm"),
        (("seeds:", "seed:"), "seeds"),
        (("name: smoke", "- a"), "a.yaml"),
    ):
        (tmp_path / "a.yaml").write_text(text.replace(*change))
        with pytest.raises(EarthReasonError, match=words):
            load_suite(str(tmp_path / "a.yaml"))
    assert isinstance(load_suite("smoke"), Suite)
