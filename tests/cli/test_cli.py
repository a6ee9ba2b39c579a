"""The commands as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from baselines.cli import app as baselines_app
from earthreason.cli.app import guard
from earthreason.cli.main import COMMANDS, app
from earthreason.cli.synth import _SCENES
from earthreason.data.configs import CONFIGS
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import read_predictions, write_predictions
from earthreason.synthetic.generate import EMPTY_SHARE
from earthreason.types import Prediction

ROOT = Path(__file__).resolve().parents[2]
MASK = np.zeros((6, 9), bool)
MASK[1:4, 2:7] = True


def command(*arguments: str, module: str = "earthreason"):
    """Run a command line in a process of its own, as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "truth.json"
    masks = {"a": MASK, "b": np.zeros((6, 9))}
    samples = [{"sample_id": name, "segmentation": encode_mask(mask)} for name, mask in masks.items()]
    path.write_text(json.dumps({"samples": samples}))
    return path


@pytest.fixture
def preds(tmp_path):
    path = tmp_path / "preds.json"
    write_predictions(path, [Prediction("a", encode_mask(MASK)), Prediction("b", None)], {"model": "m"})
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: earthreason{'-eval' if name == 'eval' else f' {name}'}" in result.output


@pytest.mark.parametrize("name", ["generate", "status", "export", "validate", "review-out", "review-in"])
def test_every_command_about_questions_has_help_with_an_example(name):
    result = CliRunner().invoke(app, ["questions", name, "--help"])
    assert result.exit_code == 0
    assert f"Example: earthreason questions {name}" in result.output


@pytest.mark.parametrize("name", ["predict", "models", "segment", "convert"])
def test_every_baseline_command_has_help_with_an_example(name):
    result = CliRunner().invoke(baselines_app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: earthreason-baselines {name}" in result.output


def test_eval_prints_a_table(preds, truth):
    result = command("eval", str(preds), "--ground-truth", str(truth))
    assert result.returncode == 0, result.stderr
    assert "gIoU (mean per-sample IoU)" in result.stdout
    assert "100.00" in result.stdout
    assert "1 question without a target" in result.stdout


def test_eval_prints_json_alone(preds, truth):
    result = command("eval", str(preds), "--ground-truth", str(truth), "--json", "-")
    content = json.loads(result.stdout)
    assert content["results"][0]["protocol"] == "segearth-r1"
    assert content["results"][0]["scores"]["gIoU"] == pytest.approx(1, abs=1e-6)


def test_eval_writes_json_and_csv(preds, truth, tmp_path):
    outputs = ["--json", str(tmp_path / "r.json"), "--csv", str(tmp_path / "r.csv")]
    result = command("eval", str(preds), "--ground-truth", str(truth), *outputs)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "r.json").read_text())["results"]
    assert (tmp_path / "r.csv").read_text().startswith("sample_id,question_index,target_index,iou")


@pytest.mark.parametrize(("value", "words"), [(0.312345678, "0.3123"), (1, "1"), ("[/]", "[/]")])
def test_eval_tells_the_no_target_threshold_of_the_predictions(value, words, truth, tmp_path):
    path = tmp_path / "preds.json"
    write_predictions(path, [Prediction("a", encode_mask(MASK)), Prediction("b", None)], {"no_target_threshold": value})
    for extra in ([], ["--protocol", "all"]):
        result = CliRunner().invoke(app, ["eval", str(path), "--ground-truth", str(truth), *extra])
        assert result.exit_code == 0, result.output
        assert f"no-target threshold of the predictions: {words}\n" in result.stdout
    result = CliRunner().invoke(app, ["eval", str(path), "--ground-truth", str(truth), "--json", "-"])
    assert json.loads(result.stdout)["no_target_threshold"] == value


def test_eval_says_nothing_of_a_threshold_where_the_predictions_have_none(preds, truth):
    arguments = ["eval", str(preds), "--ground-truth", str(truth)]
    assert "threshold" not in CliRunner().invoke(app, arguments).stdout
    content = json.loads(CliRunner().invoke(app, [*arguments, "--json", "-"]).stdout)
    assert list(content) == ["results"]


def test_eval_under_all_protocols(preds, truth):
    result = command("eval", str(preds), "--ground-truth", str(truth), "--protocol", "all")
    assert result.returncode == 0, result.stderr
    for name in ("segearth-r1", "think2seg-rs", "rrsis-d", "unigeoseg: as segearth-r1, but compared on letterbox-512"):
        assert name in result.stdout
    assert "native: as segearth-r1, but compared at each image's own size; " in result.stdout
    assert result.stdout.splitlines()[-1].endswith(" earthreason protocols")  # to be copied, so never wrapped


def test_compare_prints_wins_and_p_values(preds, truth, tmp_path):
    other = tmp_path / "other.json"
    write_predictions(other, [Prediction("a", None), Prediction("b", None)])
    result = command("compare", str(preds), str(other), "--ground-truth", str(truth), "--resamples", "200")
    assert result.returncode == 0, result.stderr
    assert "0 wins, 1 tie, 1 loss of 2 questions" in result.stdout
    assert "a question 0: 1.000" in result.stdout


def test_protocols_are_explained():
    result = command("protocols", "grefcoco")
    assert "no target" in result.stdout
    official = json.loads(command("protocols", "--json", "-").stdout)[0]
    assert (official["name"], official["grid"]) == ("segearth-r1", "letterbox-1024")
    assert "rank" not in official


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "nowhere.json"], "no predictions file nowhere.json"),
        (["eval", "{preds}", "--protocol", "segearth"], "did you mean 'segearth-r1'"),
        (["eval", "{preds}", "--ground-truth", "nowhere.json"], "no ground-truth file nowhere.json"),
        (["eval", "{preds}", "--config", "sampel"], "did you mean 'sample'"),
        (["eval", "{preds}", "--data-dir", "/nowhere"], "no folder /nowhere"),
        pytest.param(
            ["eval", "{preds}", "--config", "sample", "--split", "test[:5"],
            "'test[:5' is not a split",
            id="in the sample, which is drawn first",
        ),
        (
            ["eval", "{preds}", "--ground-truth", "{truth}", "--csv", "{folder}"],
            "error: {folder} is a folder; give the name of a file",
        ),
        (["eval", "{preds}", "--report", "{truth}"], "{truth} is a file; give the name of a folder"),
        (["eval", "{preds}", "--json", "{folder}"], "error: {folder} is a folder; give the name of a file"),
        (["eval", "{preds}", "--ground-truth", "{truth}", "--strict", "--max-left-out", "0.1"], "choose one of them"),
        (["-q", "-v", "protocols"], "error: --verbose and --quiet exclude each other"),
        (["download", "--to", "{truth}"], "{truth} is a file; give the name of a folder"),
        (["stats", "{folder}", "--out", ""], "error: the argument after --out is empty: is a variable of the shell"),
        (["verify", "sample", "--report="], "error: the argument after --report is empty: is a variable of the shell"),
        (["merge", "", "--out", "{folder}/o.json"], "error: the argument is empty: is a variable of the shell"),
        (["demo", "--out", "{truth}"], "{truth} is a file; give the name of a folder"),
        (["eval", "{truth}", "--data-dir", "/nowhere"], "truth.json: 1 error"),
        (["compare", "{preds}"], "at least two"),
        (["protocols", "lysa"], "did you mean 'lisa'"),
        (["synth", "--out", "{folder}", "--n", "9"], "not an empty folder"),
        (["synth", "--out", "{folder}/new", "--size", "big"], "give pixels as 512"),
        (["synth", "--out", "{folder}/new", "--size", "20"], "sides go from"),
        (["synth", "--out", "{folder}/new", "--n", "9", "--train", "3"], "error: --n 9 and --train: give"),
        (["synth", "--out", "{folder}/new", "--n", "9", "--test", "0"], "error: --n 9 and --test: give"),
        (["synth", "--out", "{folder}/new", "--train", "0", "--val", "0"], "error: there are no scenes to write"),
        # The rest of the sentence differs from one version of typer to another.
        (["synth", "--out", "{folder}/new", "--train", "-1"], "Invalid value for '--train'"),
        (
            ["synth", "--out", "{folder}/new", "--train", "3", "--empty-share", "1.5"],
            "Invalid value for '--empty-share'",
        ),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(arguments, words, preds, truth, tmp_path):
    *filled, words = (a.format(preds=preds, truth=truth, folder=tmp_path) for a in [*arguments, words])
    result = command(*filled)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_share_that_is_no_number_is_refused_by_typer_or_by_us(tmp_path):
    result = command("synth", "--out", str(tmp_path / "new"), "--train", "3", "--empty-share", "nan")
    assert result.returncode == 2, result.stderr
    assert "'--empty-share'" in result.stderr or "empty_share is nan, but must be between 0 and 1" in result.stderr
    assert not (tmp_path / "new").exists()


def test_eval_can_be_quiet_and_protocols_go_to_a_file(preds, truth, tmp_path):
    arguments = (str(preds), "--ground-truth", str(truth), "--resamples", "0")
    code = "from earthreason.cli.main import run_evaluate; run_evaluate()"
    quiet = [sys.executable, "-c", code, "-q", *arguments]
    done = subprocess.run(quiet, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = CliRunner().invoke(app, ["protocols", "lisa", "--json", str(tmp_path / "p.json")])
    assert result.exit_code == 0
    assert [rules["name"] for rules in json.loads((tmp_path / "p.json").read_text())] == ["lisa"]


@pytest.mark.parametrize("words", [["verify"], ["questions", "validate"]], ids=" ".join)
def test_a_report_leaves_the_json_alone_on_standard_output(words, release, tmp_path):
    if words[0] == "questions":
        pytest.importorskip("spacy", reason="the extra questions is not installed")
    arguments = [*words, str(release), "--json", "-", "--report", str(tmp_path / "page")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 1), result.output
    assert json.loads(result.stdout)
    assert "page: " in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        protocols = [sys.executable, "-m", "earthreason", "protocols"]
        done = subprocess.run(protocols, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: cannot write: No space left on device\n"


def test_what_an_extra_brings_is_asked_for_by_the_extras_name(capsys, monkeypatch):
    def run():
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi.routing")

    monkeypatch.setattr(sys, "argv", ["/somewhere/annotation_tools/__main__.py"])
    with pytest.raises(SystemExit) as caught:
        guard(run)
    assert caught.value.code == 2
    asked = "comes with earthreason-annotation: pip install -e './annotation_tools' in the checkout"
    assert asked in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["/somewhere/baselines/__main__.py"])
    with pytest.raises(SystemExit):
        guard(run)
    assert "pip install -e './baselines[serve]'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/earthreason-leaderboard"])
    with pytest.raises(SystemExit):
        guard(run)
    assert "pip install -e './leaderboard'" in capsys.readouterr().err

    def broken():
        raise ModuleNotFoundError("No module named 'nonsense'", name="nonsense")

    with pytest.raises(ModuleNotFoundError):
        guard(broken)


def test_an_unknown_configuration_is_answered_with_all_of_them(tmp_path):
    predictions = tmp_path / "preds.json"
    predictions.write_text('{"predictions": [{"sample_id": "a", "segmentation": null}]}')
    refused = command("eval", str(predictions), "--config", "nope")
    assert refused.returncode == 2
    assert len(CONFIGS) > 4
    for name in CONFIGS:
        assert name in refused.stderr


def test_help_names_the_built_in_configurations_and_every_suite():
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["eval", "--help"]).output
    for name in ("default", "sample"):
        assert f"'{name}'" in shown
    suites = CliRunner(env={"COLUMNS": "300"}).invoke(baselines_app, ["compare", "--help"]).output
    for path in (ROOT / "baselines" / "configs" / "suites").glob("*.yaml"):
        assert path.stem in suites


def test_predict_and_segment_refuse_before_anything_is_loaded(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    segment = ["segment", str(tmp_path / "a.png"), "where?", "--checkpoint", "nowhere", "--out"]
    for arguments, words in (
        (["predict", "--model", "centre", "--data-dir", "/nowhere", "--out", "preds.txt"], ".json or .jsonl"),
        (["predict", "--model", "centre", "--data-dir", "/nowhere", "--out", "."], ".json or .jsonl"),
        ([*segment, str(tmp_path)], "is a folder; give the name of a file"),
        (["segment", str(tmp_path / "b.png"), *segment[2:], "o.png"], "there is no scene"),
        (["segment", str(tmp_path / "a.png"), " ", *segment[3:], "o.png"], "the question is empty"),
    ):
        result = CliRunner().invoke(baselines_app, arguments)
        assert isinstance(result.exception, EarthReasonError), result.output
        assert words in str(result.exception)


@pytest.mark.parametrize("model", ["saliency", "vlm_sam"])
def test_a_no_target_threshold_is_refused_for_models_without_one(model, tmp_path):
    arguments = ["--model", model, "--no-target-threshold", "0.3", "--config", "sample"]
    result = command("predict", *arguments, "--out", str(tmp_path / "p.json"), module="baselines")
    assert result.returncode == 2
    assert f"error: --no-target-threshold is not for {model}; leave it out, or choose segearth_r1" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["predict", "segment"])
@pytest.mark.parametrize("value", ["-0.1", "1.1", "much"])
def test_a_no_target_threshold_lies_between_0_and_1(name, value):
    result = CliRunner().invoke(baselines_app, [name, "--no-target-threshold", value])
    assert result.exit_code == 2
    assert "--no-target-threshold" in result.output


def test_segment_prints_the_threshold_beside_the_score(tmp_path):
    save_tiny = pytest.importorskip("tests.baselines.tiny").save_tiny
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    options = ["--checkpoint", str(save_tiny(tmp_path / "tiny")), "--out", str(tmp_path / "o.png")]
    arguments = ["segment", str(tmp_path / "a.png"), "where?", *options]
    assert "threshold 0.500" in CliRunner().invoke(baselines_app, arguments).stdout
    found = CliRunner().invoke(baselines_app, [*arguments, "--no-target-threshold", "0"]).stdout
    assert found.startswith("no target; no-target score ")
    assert "threshold 0.000" in found


def test_synth_writes_a_set(tmp_path):
    result = command("synth", "--out", str(tmp_path / "set"), "--n", "6", "--size", "128", "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "6 scenes" in result.stdout
    assert len(list((tmp_path / "set" / "train" / "images").iterdir())) == 3


def test_synth_writes_the_splits_that_were_asked_for(tmp_path):
    arguments = ("--train", "4", "--val", "2", "--empty-share", "1", "--size", "128", "--workers", "1")
    result = command("synth", "--out", str(tmp_path / "set"), *arguments)
    assert result.returncode == 0, result.stderr
    told = " ".join(result.stdout.split())
    assert told.startswith("6 scenes in ")
    assert ": train 4, val 2; 6 empty targets; " in told
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["train", "val"]


def test_a_refusal_of_synth_is_one_line(tmp_path):
    result = command("synth", "--out", str(tmp_path / "set"), "--train", "0")
    assert result.stderr == "error: there are no scenes to write; set at least one of train, val and test above 0\n"


def test_the_help_of_synth_names_the_usual_scenes_and_share():
    told = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["synth", "--help"]).output
    assert f"({_SCENES})" in told
    assert f"({EMPTY_SHARE})" in told


def test_demo_leaves_predictions_pictures_and_a_page(tmp_path):
    result = command("demo", "--out", str(tmp_path / "demo"))
    assert result.returncode == 0, result.stderr
    assert "saliency" in result.stdout
    page = (tmp_path / "demo" / "index.html").read_text()
    models = {path.stem for path in (tmp_path / "demo").glob("*.json")}
    assert models >= {"centre", "saliency"}  # and the shipped model where it can run
    assert page.count("data:image/jpeg") == 6 * (2 + len(models))  # six scenes: image, truth and answers
    assert "http" not in page.split("</style>")[1].replace("http-equiv", "")
    assert (tmp_path / "demo" / "pictures.png").stat().st_size > 50_000
    assert len(read_predictions(tmp_path / "demo" / "centre.json").predictions) == 100
    assert not result.stdout.splitlines()[-1].endswith("centre.json")  # the next step is about a model that looks


def test_predict_and_eval_agree_on_the_split(tmp_path):
    out = tmp_path / "everything.json"
    samples = ["--config", "sample", "--split", "val"]
    made = command("predict", "--model", "everything", *samples, "--out", str(out), module="baselines")
    assert made.returncode == 0, made.stderr
    result = command("eval", str(out), "--json", "-")
    content = json.loads(result.stdout)["results"][0]
    assert content["ground_truth"] == "sample val"
    assert content["scores"]["recall"] == 1
    assert content["scores"]["N-acc"] == 0


@pytest.mark.parametrize(
    ("model", "words"), [("saliancy", "did you mean 'saliency'"), ("no.such:Model", "give MODULE:CLASS")]
)
def test_unknown_models_are_told(model, words, tmp_path):
    out = str(tmp_path / "p.json")
    result = command("predict", "--model", model, "--config", "sample", "--out", out, module="baselines")
    assert result.returncode == 2
    assert words in result.stderr
