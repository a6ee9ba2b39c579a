"""Bundles for competition hosts: their programs give the numbers of `earthreason-eval`."""

import json
import os
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from importlib.metadata import version

import pytest
import yaml
from typer.testing import CliRunner

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import write_references
from leaderboard.cli import app
from leaderboard.engines.bundles import phases_of
from leaderboard.engines.codabench import write_codabench
from leaderboard.engines.evalai import write_evalai
from leaderboard.engines.requirements import IMAGE, pin_requirements
from leaderboard.engines.scoring import PhaseFacts, detailed_page, find_predictions, score_file
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
        [sys.executable, str(program), *map(str, arguments)],
        cwd=program.parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# --- Codabench -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_open", [False, True])
def test_the_codabench_scorer_gives_the_numbers_of_earthreason_eval(
    tmp_path, references, predictions, expected, is_open
):
    """In full for open labels, in whole per cent and without a page of details for hidden ones."""
    phases = phases_of(
        {"val": references, "test": references}, START, 30, 5, open_splits=("val", "test") if is_open else ()
    )
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
    native = evaluate(predictions, references, "native")
    of_eval = {"giou": expected["gIoU"], "ciou": expected["cIoU"], "n_acc": expected["N-acc"]}
    of_eval["giou_native"] = native["gIoU"]
    assert {key: scores[key] for key in of_eval} == {
        key: value if is_open else round(value, 2) for key, value in of_eval.items()
    }
    detailed = app / "output" / "detailed_results.html"
    assert detailed.exists() == is_open
    assert not is_open or "gIoU" in detailed.read_text()
    competition = yaml.safe_load((bundle / "competition.yaml").read_text())
    assert competition["enable_detailed_results"] == is_open
    columns = competition["leaderboards"][0]["columns"]
    assert {column["key"] for column in columns} == scores.keys()
    assert {column["precision"] for column in columns} == {4 if is_open else 2}


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
    assert (second["max_submissions_per_day"], second["max_submissions"]) == (5, 30)
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


@pytest.mark.parametrize("order", [("val", "test"), ("test", "val")])
def test_validation_ends_where_the_test_begins_in_whatever_order_they_are_named(references, order):
    first, second = phases_of(dict.fromkeys(order, references), START, 30, 5)
    assert (first.split, first.start, first.end) == ("val", START, START + timedelta(days=30))
    assert (second.split, second.start, second.end) == ("test", first.end, None)


def test_the_command_of_the_issue_writes_a_bundle_for_a_public_image(tmp_path, references, monkeypatch):
    monkeypatch.setattr("earthreason.metrics.truth.load_references", lambda *_: references)
    done = CliRunner().invoke(app, ["codabench", "--out", str(tmp_path / "bundle.zip")])
    assert done.exit_code == 0, done.output
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    assert yaml.safe_load((bundle / "competition.yaml").read_text())["docker_image"] == IMAGE
    assert (bundle / "docker" / "Dockerfile").read_text().startswith(f"FROM {IMAGE}\n")


def test_a_plain_image_installs_what_the_judge_needs(tmp_path, phases):
    """An interpreter without any packages, and a pip that writes down what it is asked for."""
    write_codabench(tmp_path / "bundle.zip", phases, IMAGE, "EarthReason")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    program = unpack(bundle / "scoring_program.zip", tmp_path / "program")
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "pip.py").write_text("import sys\nprint('asked for', *sys.argv[1:])\nsys.exit(1)\n")
    done = subprocess.run(
        [sys.executable, "-S", str(program / "score.py"), "in", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "stub")},
        check=False,
    )
    assert done.stdout.split()[-2:] == ["-r", str(program / "requirements.txt")]
    assert done.returncode != 0
    # What pip installs for the six packages, looked up in an empty environment.
    needed = {"annotated-types", "llvmlite", "msgspec", "numba", "numpy", "pillow", "pycocotools", "pydantic"}
    needed |= {"pydantic-core", "typing-extensions", "typing-inspection"}
    pinned = sorted(f"{name}=={version(name)}" for name in needed)
    assert (program / "requirements.txt").read_text().splitlines() == pinned
    assert set(pinned) <= set((bundle / "docker" / "Dockerfile").read_text().split())


def test_what_is_needed_elsewhere_only_is_listed_without_a_version(monkeypatch):
    needs = {"msgspec": ["a-b; sys_platform == 'linux'", "c; sys_platform == 'win32'", "d; extra == 'more'"]}
    monkeypatch.setattr("leaderboard.engines.requirements.requires", lambda name: needs.get(name))
    assert "a-b" in pin_requirements()
    assert not {"c", "d"} & set(pin_requirements())


@pytest.mark.parametrize(
    "name", ["p.json", "p.jsonl", "p.ndjson", "P.JSON.GZ", "p.jsonl.gz", "p.ndjson.gz", "masks.npz", "masks.zip"]
)
def test_a_predictions_file_of_a_submission_is_found_by_its_name(tmp_path, name):
    (tmp_path / "masks").mkdir()
    for other in ("metadata.json", "notes.txt", "masks/a.png", name):
        (tmp_path / other).touch()
    assert find_predictions(tmp_path) == tmp_path / name
    (tmp_path / "second.jsonl").touch()
    with pytest.raises(DataFormatError, match="2 predictions files"):
        find_predictions(tmp_path)


@pytest.mark.parametrize("ending", ["png", "tif", "TIFF", "npy"])
def test_the_masks_of_a_submission_are_found_in_the_folder_that_holds_them_all(tmp_path, ending):
    with pytest.raises(DataNotFoundError, match=r"JSON Lines .*\.npz.* PNG, TIFF or \.npy"):
        find_predictions(tmp_path)
    for name in ("masks/a/x", "masks/b/y", "__MACOSX/masks/a/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.{ending}").touch()
    assert find_predictions(tmp_path) == tmp_path / "masks"


def test_scores_of_few_images_have_no_interval_on_the_detailed_page(tmp_path, references):
    write_references(tmp_path / "truth.json", references)
    (tmp_path / "preds.json").write_bytes(make_predictions(references))
    page = detailed_page(score_file(tmp_path / "truth.json", tmp_path / "preds.json", PhaseFacts("val", hidden=False)))
    assert "<td>N-acc<td>0.00<td>fewer than 10 images</tr>" in page  # every tenth of 40 images has no target
    assert "- to -" not in page


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
    assert answer["result"][0]["test_split"]["gIoU"] == round(expected["gIoU"], 2)
    assert answer["submission_result"] == answer["result"][0]["test_split"]
    config = yaml.safe_load((challenge / "challenge_config.yaml").read_text())
    assert set(config["leaderboard"][0]["schema"]["labels"]) == answer["submission_result"].keys()
    assert all((challenge / phase["test_annotation_file"]).is_file() for phase in config["challenge_phases"])
    assert {split["codename"] for split in config["dataset_splits"]} == {"val_split", "test_split"}


def test_the_pages_of_every_host_name_what_can_be_uploaded(tmp_path, phases):
    write_evalai(tmp_path / "challenge.zip", phases, "EarthReason")
    write_codabench(tmp_path / "bundle.zip", phases, IMAGE, "EarthReason")
    challenge = unpack(tmp_path / "challenge.zip", tmp_path / "challenge")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    for page in (challenge / "templates" / "overview.html", bundle / "pages" / "overview.md"):
        assert all(form in page.read_text() for form in ("JSON Lines", "gzip", ".npz", "PNG, TIFF or .npy"))
    config = yaml.safe_load((challenge / "challenge_config.yaml").read_text())
    allowed = config["challenge_phases"][0]["allowed_submission_file_types"].split(", ")
    assert set(allowed) == {".json", ".jsonl", ".ndjson", ".gz", ".zip", ".npz"}


def test_a_competition_on_another_dataset_names_it_and_not_our_images(tmp_path, references):
    planned = phases_of({"test": references}, START, 30, 5, config="rrsis-d")
    write_codabench(tmp_path / "bundle.zip", planned, IMAGE, "Referring & more")
    write_evalai(tmp_path / "challenge.zip", planned, "Referring & more")
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    challenge = unpack(tmp_path / "challenge.zip", tmp_path / "challenge")
    assert (bundle / "pages" / "overview.md").read_text().startswith("# Referring & more\n")
    assert (challenge / "templates" / "overview.html").read_text().startswith("<pre># Referring &amp; more\n")
    for terms in (bundle / "pages" / "terms.md", challenge / "templates" / "terms.html"):
        assert "Licence of the data: unknown." in terms.read_text()  # the authors state none
        assert "Million-AID" not in terms.read_text()
    sheet = yaml.safe_load((bundle / "competition.yaml").read_text())["fact_sheet"]
    assert sheet["extra_data"]["title"] == "Training data beyond it"


def test_the_command_titles_a_competition_by_its_dataset(tmp_path):
    out = tmp_path / "bundle.zip"
    done = CliRunner().invoke(app, ["codabench", "--config", "sample", "--split", "test", "--out", str(out)])
    assert done.exit_code == 0, done.output
    facts = yaml.safe_load((unpack(out, tmp_path / "bundle") / "competition.yaml").read_text())
    assert facts["title"] == "EarthReason sample"
