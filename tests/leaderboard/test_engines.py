"""Other engines and the results repository: the same numbers by every way."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from html.parser import HTMLParser

import pytest
import yaml

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.metrics.evaluate import evaluate
from earthreason.predictions.reader import open_predictions
from leaderboard.board import Entry
from leaderboard.bundles import phases_of, write_codabench, write_evalai
from leaderboard.engine_scoring import find_predictions
from leaderboard.eval_results import eval_results_yaml
from leaderboard.records import parse_metadata, parse_result
from leaderboard.results_repo import read_repository, rescore, validate, write_entry
from leaderboard.scoring import hide_labels, score_predictions
from leaderboard.static_site import write_site
from tests.leaderboard.toys import make_predictions

START = datetime(2026, 1, 1)


@pytest.fixture
def predictions(tmp_path, references):
    path = tmp_path / "preds.json"
    path.write_bytes(make_predictions(references))
    return path


@pytest.fixture
def phases(references):
    return phases_of({"val": references, "test": references}, START, 30, 5)


@pytest.fixture
def expected(predictions, references):
    return evaluate(predictions, references)


def unpack(archive, folder):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def run_program(program, *arguments):
    """As an engine does: nothing of this checkout on the path, another working folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(program), *map(str, arguments)], cwd=program.parent.parent, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


# --- Codabench -------------------------------------------------------------------------------------------------------


def test_the_codabench_scorer_gives_the_numbers_of_earthreason_eval(tmp_path, phases, predictions, expected):
    write_codabench(tmp_path / "bundle.zip", phases, "me/scorer", "EarthReason")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    app = tmp_path / "app"
    unpack(bundle / "scoring_program.zip", app / "program")
    unpack(bundle / "reference_test.zip", app / "input" / "ref")
    (app / "input" / "res").mkdir()
    (app / "input" / "res" / "predictions.json").write_bytes(predictions.read_bytes())
    done = run_program(app / "program" / "score.py", app / "input", app / "output")
    assert done.returncode == 0, done.stderr
    scores = json.loads((app / "output" / "scores.json").read_text())
    native = evaluate(predictions, phases[1].references, "native")
    assert scores["giou"] == expected["gIoU"]
    assert scores["ciou"] == expected["cIoU"]
    assert scores["n_acc"] == expected["N-acc"]
    assert scores["giou_native"] == native["gIoU"]
    assert "gIoU" in (app / "output" / "detailed_results.html").read_text()
    columns = yaml.safe_load((bundle / "competition.yaml").read_text())["leaderboards"][0]["columns"]
    assert {column["key"] for column in columns} == scores.keys()


def test_the_bundle_brings_its_own_judge(tmp_path, phases):
    write_codabench(tmp_path / "bundle.zip", phases, "me/scorer", "EarthReason")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    program = unpack(bundle / "scoring_program.zip", tmp_path / "program")
    (program / "where.py").write_text(
        (program / "score.py").read_text().split("from leaderboard")[0]
        + "import earthreason, leaderboard.scoring\nprint(earthreason.__file__, leaderboard.scoring.__file__)\n"
    )
    done = run_program(program / "where.py")
    assert done.returncode == 0, done.stderr
    assert all(str(program) in path for path in done.stdout.split())


def test_a_broken_codabench_submission_is_told_without_traceback(tmp_path, phases):
    write_codabench(tmp_path / "bundle.zip", phases, "me/scorer", "EarthReason")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    app = tmp_path / "app"
    unpack(bundle / "scoring_program.zip", app / "program")
    unpack(bundle / "reference_val.zip", app / "input" / "ref")
    (app / "input" / "res").mkdir()
    (app / "input" / "res" / "p.json").write_text('[{"sample_id": "nobody", "segmentation": null}]')
    done = run_program(app / "program" / "score.py", app / "input", app / "output")
    assert done.returncode == 2
    assert "not in val" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_competition_refers_only_to_files_that_are_there(tmp_path, phases):
    write_codabench(tmp_path / "bundle.zip", phases, "me/scorer", "EarthReason")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    competition = yaml.safe_load((bundle / "competition.yaml").read_text())
    named = [competition["image"], competition["terms"], *(page["file"] for page in competition["pages"])]
    named += [task[key] for task in competition["tasks"] for key in ("reference_data", "scoring_program")]
    assert all((bundle / name).is_file() for name in named)
    assert competition["version"] == 2
    first, second = competition["phases"]
    assert (first["name"], second["name"]) == ("Validation", "Test")
    assert first["end"] == second["start"]
    assert "end" not in second
    assert second["hide_score_output"]
    for key, question in competition["fact_sheet"].items():
        assert question["key"] == key


def test_a_bundle_is_the_same_bytes_every_time(tmp_path, phases):
    for name in ("a.zip", "b.zip"):
        write_codabench(tmp_path / name, phases, "me/scorer", "EarthReason")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_one_phase_has_no_end(references):
    assert [phase.end for phase in phases_of({"test": references}, START, 30, 5)] == [None]
    with pytest.raises(EarthReasonError, match="val and test"):
        phases_of({"train": references}, START, 30, 5)


def test_the_predictions_of_a_submission_are_found(tmp_path):
    with pytest.raises(DataNotFoundError):
        find_predictions(tmp_path)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").touch()
    assert find_predictions(tmp_path) == tmp_path / "masks"
    (tmp_path / "a.json").touch()
    assert find_predictions(tmp_path) == tmp_path / "a.json"
    (tmp_path / "b.jsonl").touch()
    with pytest.raises(DataFormatError):
        find_predictions(tmp_path)


# --- EvalAI ----------------------------------------------------------------------------------------------------------


def test_evalai_evaluate_gives_the_numbers_of_earthreason_eval(tmp_path, phases, predictions, expected):
    write_evalai(tmp_path / "challenge.zip", phases, "EarthReason")
    challenge = unpack(tmp_path / "challenge.zip", tmp_path / "challenge")
    unpack(challenge / "evaluation_script.zip", challenge / "evaluation_script")
    (challenge / "call.py").write_text(
        "import sys, json\nsys.path.insert(0, sys.argv[1])\nfrom evaluation_script import evaluate\n"
        "print(json.dumps(evaluate(sys.argv[2], sys.argv[3], 'test', submission_metadata={})))\n"
    )
    done = run_program(challenge / "call.py", challenge, challenge / "annotations" / "test.json", predictions)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["result"][0]["test_split"]["gIoU"] == expected["gIoU"]
    config = yaml.safe_load((challenge / "challenge_config.yaml").read_text())
    assert set(config["leaderboard"][0]["schema"]["labels"]) == answer["submission_result"].keys()
    assert all((challenge / phase["test_annotation_file"]).is_file() for phase in config["challenge_phases"])
    assert {split["codename"] for split in config["dataset_splits"]} == {"val_split", "test_split"}


# --- the results repository ------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, references):
    root = tmp_path / "results"
    for seed, model in enumerate(("Model A", "Model <b>")):
        path = tmp_path / f"{seed}.json"
        path.write_bytes(make_predictions(references, seed, 0.05 + 0.1 * seed))
        scoring = score_predictions(open_predictions(path), references, config="toy", split="test", hidden=False,
                                    resamples=100)  # fmt: skip
        facts = {"model": model, "training": "trained", "paper": "https://example.org/p"}
        write_entry(root, Entry("", "Team", parse_metadata(facts).public(), scoring.record, 1e9))
    return root


def edit(root, name, change):
    path = next(root.rglob(name))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_sound_repository_has_no_fault_and_rescoring_agrees(repository, tmp_path, references):
    assert validate(repository) == []
    assert {entry.model for entry in read_repository(repository)} == {"Model A", "Model <b>"}
    assert rescore(repository, tmp_path / "0.json", references) == []


def official(content):
    return content["protocols"]["segearth-r1"]["scores"]["all"]


def better(content):
    official(content)["gIoU"][0] = 0.999


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("result.json", better, "outside its interval"),
        ("result.json", lambda c: c.update(predictions_sha256="1" * 64), "revision should be"),
        ("result.json", lambda c: c.update(dataset_sha256="1" * 64), "another ground truth"),
        ("result.json", lambda c: c.update(extra=1), "extra"),
        ("result.json", lambda c: c["protocols"].update(mine=c["protocols"]["native"]), "unknown protocol"),
        ("result.json", lambda c: c["protocols"].pop("segearth-r1"), "official protocol"),
        ("result.json", lambda c: c["protocols"]["native"].update(grid="stretch-2"), "compared on stretch-2"),
        (
            "result.json",
            lambda c: c["protocols"]["native"]["scores"]["all"].update(gIoU=[70.1, 60, 80]),
            "less than or equal to 1",
        ),
        ("result.json", lambda c: c.update(curve=[]), "curve"),
        ("result.json", lambda c: c.update(curve=[5.0] * 20), "curve"),
        ("result.json", lambda c: c["curve"].reverse(), "the curve rises"),
        ("result.json", lambda c: c.update(questions=-1), "questions"),
        ("result.json", lambda c: c.update(questions=999_999), "do not fit"),
        ("result.json", lambda c: c.update(images=41), "41 images"),
        ("result.json", lambda c: c.update(resamples=10**9), "resamples"),
        ("result.json", lambda c: c.update(seed=-1), "seed"),
        ("result.json", lambda c: official(c).update(gIoU=[None, None, None]), "gIoU"),
        ("result.json", lambda c: official(c).update(gIoU=[0.5, None, 0.6]), "half an interval"),
        ("meta.json", lambda c: c.update(team="Somebody else"), "the folder should be called"),
        ("meta.json", lambda c: c["metadata"].update(paper="javascript:alert(1)"), "paper"),
        ("meta.json", lambda c: c.update(published="2026-02-31"), "no day"),
        ("meta.json", lambda c: c.update(card={"a": float("nan")}), "none of them is JSON"),
        ("meta.json", lambda c: c.update(card={"a": "\ud800"}), "none of them is JSON"),
        ("meta.json", lambda c: c.update(flag="\ud800"), "none of them is JSON"),
        ("meta.json", lambda c: c.update(flag="a\u202eb"), "flag"),
    ],
)
def test_every_fault_of_a_row_is_found(repository, name, change, said):
    edit(repository, name, change)
    assert any(said in fault for fault in validate(repository)), validate(repository)


def test_stray_files_and_half_rows_are_found(repository):
    (repository / "script.py").write_text("print()")
    next(repository.rglob("meta.json")).unlink()
    faults = "\n".join(validate(repository))
    assert "script.py" in faults
    assert "meta.json missing" in faults


def plausible(content):
    cell = content["protocols"]["native"]["scores"]["all"]["gIoU"]
    cell[0] = cell[2]


def of_a_group(content):
    content["protocols"]["segearth-r1"]["scores"]["category: class 1"]["cIoU"] = [0.98, 0.97, 0.99]


def narrower(content):
    value, low, high = official(content)["cIoU"]
    official(content)["cIoU"] = [value, (value + low) / 2, (value + high) / 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (plausible, "protocols, native, scores, all, gIoU: stated"),
        (of_a_group, "category: class 1, cIoU: stated"),
        (narrower, "segearth-r1, scores, all, cIoU: stated"),
        (lambda c: c["curve"].__setitem__(0, 1.0), "curve: stated 1.0"),
        (lambda c: c.update(empty_targets=0), "empty_targets: stated 0, found 4"),
        (lambda c: c.update(seed=1), "stated"),
        (lambda c: official(c).pop("Pr@0.9"), "Pr@0.9: stated None"),
        (lambda c: c["not_scored"].update(lisa="made up"), "lisa: stated made up"),
    ],
)
def test_rescoring_finds_a_figure_that_was_made_up(repository, tmp_path, references, change, said):
    edit(next(repository.glob("Team__Model-A/*")), "result.json", change)
    assert validate(repository) == []  # a plausible lie
    assert any(said in fault for fault in rescore(repository, tmp_path / "0.json", references))


def test_rescoring_looks_at_every_row_about_the_file(repository, tmp_path, references):
    """A second row about the same file, under another name, is no place to hide a figure."""
    honest = next(repository.glob("Team__Model-A/*"))
    forged = repository / "Team__Model-Z" / honest.name
    shutil.copytree(honest, forged)
    edit(forged, "meta.json", lambda c: c["metadata"].update(model="Model Z"))
    edit(forged, "result.json", plausible)
    assert validate(repository) == []
    faults = rescore(repository, tmp_path / "0.json", references)
    assert len(faults) == 1
    assert str(forged) in faults[0]


def test_a_row_of_a_hidden_split_agrees_with_its_file(repository, tmp_path, references):
    """What such a split tells is rounded; rounding is no fault, another figure is."""
    path = next(repository.glob("Team__Model-A/*/result.json"))
    told = hide_labels(parse_result(json.loads(path.read_text())))
    path.write_text(told.model_dump_json())
    assert validate(repository) == []
    assert rescore(repository, tmp_path / "0.json", references) == []
    edit(path.parent, "result.json", lambda c: official(c)["gIoU"].__setitem__(0, official(c)["gIoU"][2]))
    assert len(rescore(repository, tmp_path / "0.json", references)) == 1


def test_a_row_of_another_truth_is_not_compared(repository, tmp_path, references):
    edit(next(repository.glob("Team__Model-A/*")), "result.json", lambda c: c.update(dataset_sha256="1" * 64))
    with pytest.raises(DataNotFoundError, match="1 of another ground truth"):
        rescore(repository, tmp_path / "0.json", references)


def test_a_repository_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError):
        validate(tmp_path / "nowhere")


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src")]


def test_the_static_site_is_whole_links_hold_and_text_is_escaped(repository, tmp_path):
    pages = write_site(read_repository(repository), tmp_path / "site")
    files = list((tmp_path / "site").glob("*.html"))
    assert len(files) == pages > 10
    for page in files:
        text = page.read_text()
        assert "<b>" not in text.replace("Model &lt;b&gt;", "")
        links = Links()
        links.feed(text)
        for link in links.found:
            if not re.match("https?:|#", link):
                assert (tmp_path / "site" / link).is_file(), f"{page.name} links to {link}"
    index = (tmp_path / "site" / "index.html").read_text()
    assert "Model A" in index
    assert "<form" not in index


def test_a_site_is_not_written_over_another(repository, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "x").touch()
    with pytest.raises(EarthReasonError, match="not an empty folder"):
        write_site(read_repository(repository), tmp_path / "site")
    with pytest.raises(EarthReasonError, match="no result"):
        write_site([], tmp_path / "other")


# --- the Hub ---------------------------------------------------------------------------------------------------------


def test_the_hub_yaml_has_its_required_keys_and_our_scores(repository):
    entry = read_repository(repository)[0]
    told = yaml.safe_load(eval_results_yaml([(entry.record, entry.date)], "https://board.example", "some/dataset"))
    giou = entry.record.estimate("segearth-r1", "all", "gIoU").value
    assert told[0]["dataset"] == {"id": "some/dataset", "task_id": "test_giou"}
    assert told[0]["value"] == round(100 * giou, 2)
    assert told[0]["source"]["url"] == "https://board.example"
    assert told[1]["dataset"]["task_id"] == "test_ciou"
