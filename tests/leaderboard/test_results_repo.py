"""The results repository: its checks, and the YAML for the Hub made of it."""

import json
import re
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.predictions.reader import open_predictions
from leaderboard.board import BoardEntry
from leaderboard.cli import app
from leaderboard.eval_results import eval_results_yaml
from leaderboard.records import parse_metadata, parse_result
from leaderboard.repo_checks import validate
from leaderboard.results_repo import read_repository, rescore, slug, write_entry
from leaderboard.scoring import hide_labels, score_predictions
from leaderboard.splits import content_of
from leaderboard.static_site import write_site
from tests.leaderboard.toys import make_predictions


@pytest.fixture
def repository(tmp_path, references):
    root = tmp_path / "results"
    for seed, model in enumerate(("Model A", "Model <b>")):
        path = tmp_path / f"{seed}.json"
        path.write_bytes(make_predictions(references, seed, 0.05 + 0.1 * seed))
        scoring = score_predictions(
            open_predictions(path), references, config="toy", split="test", hidden=False, resamples=100
        )
        facts = {"model": model, "training": "trained", "paper": "https://example.org/p"}
        write_entry(root, BoardEntry("", "Team", parse_metadata(facts).public(), scoring.record, 1e9))
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


def group(content, key):
    breakdown, _, name = key.partition(": ")
    content["subsets"].append({"key": key, "breakdown": breakdown, "group": name, "questions": 1})
    content["protocols"]["native"]["scores"][key] = content["protocols"]["native"]["scores"]["all"]


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
        ("result.json", lambda c: c["protocols"].pop("segearth-r1"), "main protocol, segearth-r1"),
        ("result.json", lambda c: c["protocols"]["native"].update(grid="stretch-2"), "compared on stretch-2"),
        (
            "result.json",
            lambda c: c["protocols"]["native"]["scores"]["all"].update(gIoU=[70.1, 60, 80]),
            "less than or equal to 1",
        ),
        ("result.json", lambda c: c.update(curve=[]), "curve"),
        ("result.json", lambda c: c.update(curve=[5.0] * 20), "curve"),
        ("result.json", lambda c: c["curve"].reverse(), "the curve must not rise"),
        ("result.json", lambda c: c.update(questions=-1), "questions"),
        ("result.json", lambda c: c.update(questions=999_999), "do not fit"),
        ("result.json", lambda c: c.update(images=41), "41 images"),
        ("result.json", lambda c: c.update(resamples=10**9), "resamples"),
        ("result.json", lambda c: c.update(seed=-1), "seed"),
        ("result.json", lambda c: official(c).update(gIoU=[None, None, None]), "gIoU"),
        ("result.json", lambda c: official(c).update(gIoU=[0.5, None, 0.6]), "lacks one end"),
        ("meta.json", lambda c: c.update(team="Somebody else"), "the folder should be called"),
        ("meta.json", lambda c: c["metadata"].update(paper="javascript:alert(1)"), "paper"),
        ("meta.json", lambda c: c.update(published="2026-02-31"), "no day"),
        ("meta.json", lambda c: c.update(card={"a": float("nan")}), "NaN is not JSON"),
        ("meta.json", lambda c: c.update(card={"a": [[[[[[[[1]]]]]]]]}), "meta.json: card: nested"),
        ("meta.json", lambda c: c.update(published="9999-12-31"), "has not come yet"),
        ("result.json", lambda c: c.update(config="a/b"), "config: must be"),
        ("result.json", lambda c: c.update(split="a\u202eb"), "split: must be"),
        ("result.json", lambda c: c.update(earthreason="9" * 500), "earthreason: must be"),
        ("result.json", lambda c: c["subsets"].append(c["subsets"][0]), "listed twice: 'all'"),
        ("result.json", lambda c: group(c, "a: \u202e"), "characters that show nothing"),
        ("result.json", lambda c: (group(c, "x-y: z"), group(c, "x: y-z")), "would be that of another"),
        ("result.json", lambda c: group(c, "page: 2"), "would be a further page of all questions"),
        ("result.json", lambda c: c["not_scored"].update(mine="x"), "not_scored: unknown protocol"),
        ("result.json", lambda c: c["not_scored"].update(lisa="x" * 2000), "not_scored: the reason for lisa"),
        ("result.json", lambda c: c.update(decimals=2), "but it has a curve"),
        ("result.json", lambda c: c.update(decimals=2, curve=[]), "gIoU has more than the 2 decimals"),
        ("meta.json", lambda c: c.update(card={"a": "\ud800"}), "JSON allows none of them"),
        ("meta.json", lambda c: c.update(flag="\ud800"), "JSON allows none of them"),
        ("meta.json", lambda c: c.update(flag="a\u202eb"), "flag"),
    ],
)
def test_every_fault_of_a_row_is_found(repository, name, change, said):
    edit(repository, name, change)
    assert any(said in fault for fault in validate(repository)), validate(repository)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda text: text.replace("{", '{"team": "Reviewed Lab",', 1), "key 'team' is written more than once"),
        (lambda text: text.encode("utf-16"), "not UTF-8"),
        (lambda text: text.replace('"flag": null', '"flag": null, "card": 1' + "0" * 5000), "not JSON"),
    ],
)
def test_a_file_has_one_meaning(repository, content, said):
    """A reviewer and the board read the same values."""
    path = next(repository.rglob("meta.json"))
    changed = content(path.read_text())
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    assert any(said in fault for fault in validate(repository)), validate(repository)
    with pytest.raises(EarthReasonError, match="not JSON"):
        list(read_repository(repository))


@pytest.mark.parametrize("part", ["file", "revision", "model"])
def test_links_to_elsewhere_are_neither_accepted_nor_followed(repository, tmp_path, part):
    """A site made without the check must not publish what a link leads to."""
    file = next(repository.rglob("meta.json"))
    linked = {"file": file, "revision": file.parent, "model": file.parent.parent}[part]
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    assert any(str(linked) in fault for fault in validate(repository))
    with pytest.raises(EarthReasonError, match="a symbolic link"):
        list(read_repository(repository))
    with pytest.raises(EarthReasonError, match="a symbolic link"):
        write_site(read_repository(repository), tmp_path / "site")


def test_a_row_comes_once(repository):
    """Its folder may have the first form of name, but not both forms."""
    folder = next(repository.rglob("meta.json")).parent
    shutil.copytree(folder, folder.with_name(folder.name[-12:]))
    assert [fault for fault in validate(repository) if "the same row as" in fault]


def test_two_rows_whose_pages_would_have_one_name_are_found(tmp_path, record):
    """Somebody may choose names so that the site can no longer be made."""
    write_entry(tmp_path / "results", entry_of(record, "M", config="toy-a", split="test"))
    write_entry(tmp_path / "results", entry_of(record, "M-toy", config="a", split="test"))
    faults = validate(tmp_path / "results")
    assert any("its page model-Team__M-toy-a-test-" in fault for fault in faults), faults


def test_the_files_of_version_control_are_left_alone(repository):
    (repository / ".git").mkdir()
    (repository / ".git" / "config").write_text("")
    (repository / "Team__Model-A" / ".cache").mkdir()
    assert validate(repository) == []


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


def test_a_check_with_secret_labels_prints_nothing_that_scoring_finds(repository, tmp_path, references):
    """Whoever sends a row chooses what it states, so it must not decide how much the check tells."""
    path = next(repository.glob("Team__Model-A/*/result.json"))
    honest = json.loads(path.read_text())
    edit(path.parent, "result.json", plausible)
    faults = rescore(repository, tmp_path / "0.json", references, secret=True)
    assert [fault.partition(": ")[2] for fault in faults] == [
        "complete scores, but the labels are hidden; write it with `result --hidden`"
    ]
    told = hide_labels(parse_result(honest), final=True)
    path.write_text(told.model_dump_json())
    assert rescore(repository, tmp_path / "0.json", references, secret=True) == []
    edit(path.parent, "result.json", lambda c: official(c).update(gIoU=[0.0, 0.0, 0.5], cIoU=[0.0, None, None]))
    faults = rescore(repository, tmp_path / "0.json", references, secret=True)
    assert len(faults) >= 2
    assert all("found" not in fault for fault in faults)
    assert any(fault.endswith("scores, all, gIoU: stated 0.0") for fault in faults), faults


def test_a_row_of_another_truth_is_not_compared(repository, tmp_path, references):
    edit(next(repository.glob("Team__Model-A/*")), "result.json", lambda c: c.update(dataset_sha256="1" * 64))
    with pytest.raises(DataNotFoundError, match="1 of another ground truth"):
        rescore(repository, tmp_path / "0.json", references)


def entry_of(record, model="Model A", team="Team", **changes):
    facts = parse_metadata({"model": model, "training": "trained"}).public()
    return BoardEntry("", team, facts, record.model_copy(update=changes), 1e9)


@pytest.fixture
def record(references, tmp_path):
    (tmp_path / "p.json").write_bytes(make_predictions(references))
    opened = open_predictions(tmp_path / "p.json")
    return score_predictions(opened, references, config="toy", split="test", hidden=False, resamples=20).record


def test_one_file_on_two_splits_is_two_rows(record, tmp_path):
    folders = {write_entry(tmp_path / "results", entry_of(record, split=split)) for split in ("test", "open")}
    assert len(folders) == 2
    assert {entry.record.split for entry in read_repository(tmp_path / "results")} == {"test", "open"}
    assert validate(tmp_path / "results") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("机场", "桥"), ("a/b", "a-b"), ("A+", "A"), ("a  b", "a b"), ("x.", "x"), ("..", "x"), ("-", "_")],
)
def test_names_that_lose_characters_stay_apart(one, other):
    assert slug(one) != slug(other)
    for name in (one, other):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", slug(name))


def test_plain_names_stay_as_they_are():
    assert [slug(name) for name in ("Earth Lab", "SegEarth-R1", "v1.2", "a_b")] == [
        "Earth-Lab",
        "SegEarth-R1",
        "v1.2",
        "a_b",
    ]


def test_a_row_is_written_again_but_never_over_another(record, tmp_path):
    first = entry_of(record, "Model A")
    folder = write_entry(tmp_path / "results", first)
    assert write_entry(tmp_path / "results", first) == folder
    kept = (folder / "meta.json").read_text()
    with pytest.raises(EarthReasonError, match="contains another row"):
        write_entry(tmp_path / "results", entry_of(record, "Model-A"))
    assert (folder / "meta.json").read_text() == kept


def test_a_folder_of_the_first_form_is_still_read(record, tmp_path):
    folder = write_entry(tmp_path / "results", entry_of(record))
    folder.rename(folder.with_name(record.predictions_sha256[:12]))
    assert validate(tmp_path / "results") == []


def test_a_repository_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError):
        validate(tmp_path / "nowhere")


def test_the_hub_yaml_has_its_required_keys_and_our_scores(repository):
    row = next(read_repository(repository))
    told = yaml.safe_load(eval_results_yaml([(row.record, row.date)], "https://board.example", "some/dataset"))
    giou = row.record.estimate("segearth-r1", "all", "gIoU").value
    assert told[0]["dataset"] == {"id": "some/dataset", "task_id": "test_giou"}
    assert told[0]["value"] == round(100 * giou, 2)
    assert told[0]["source"]["url"] == "https://board.example"
    assert told[1]["dataset"]["task_id"] == "test_ciou"


def test_a_file_is_scored_again_on_the_split_of_its_row(tmp_path):
    """The file does not say its split, which is not the official one."""
    references = content_of("sample", "test", None, hidden=True).references
    blank = [{"sample_id": name, "segmentation": None} for name in references]
    (tmp_path / "p.json").write_text(json.dumps({"predictions": blank}))
    words = ["result", str(tmp_path / "p.json"), "--out", str(tmp_path / "r"), "--team", "T", "--name", "M"]
    made = CliRunner().invoke(app, [*words, "--training", "trained", "--config", "sample", "--split", "test"])
    assert made.exit_code == 0, made.output
    checked = CliRunner().invoke(app, ["validate", str(tmp_path / "r"), "--predictions", str(tmp_path / "p.json")])
    assert (checked.exit_code, checked.stdout) == (0, "1 row, no faults\n")
    edit(tmp_path / "r", "result.json", better)
    checked = CliRunner().invoke(app, ["validate", str(tmp_path / "r"), "--predictions", str(tmp_path / "p.json")])
    assert checked.exit_code == 1
