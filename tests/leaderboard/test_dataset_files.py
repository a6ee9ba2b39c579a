"""Files about other datasets: results repositories, static sites and bundles have the figures of the authors."""

import json

import pytest
import yaml

from earthreason.errors import DataNotFoundError, EarthReasonError
from leaderboard.records import parse_result
from tests.leaderboard.published_sets import DRSEG, LASERS, PUBLISHED, RRSIS_D
from tests.leaderboard.published_sets import run as run
from tests.leaderboard.test_engines import run_program, unpack

FLOAT32 = 1e-7
"""Some evaluators divide and add in single precision."""


@pytest.fixture
def repository(run, tmp_path):
    """A row of every set, written by the command; the files do not say what they are about."""
    for published in PUBLISHED:
        published.make(tmp_path / published.config)
        (tmp_path / f"{published.config}.json").write_bytes(published.predictions())
        words = ["--config", published.config, "--split", "test", "--data-dir", tmp_path / published.config]
        facts = ["--team", "Team", "--name", f"Model of {published.config}", "--training", "zero-shot"]
        done = run("result", tmp_path / f"{published.config}.json", "--out", tmp_path / "results", *facts, *words)
        assert done.exit_code == 0, done.output
    return tmp_path / "results"


def row_of(repository, published):
    return next(repository.glob(f"*/{published.config}-test-*/result.json"))


def test_rows_of_a_results_repository_have_the_figures_of_the_authors_evaluators(repository, run):
    for published in PUBLISHED:
        record = parse_result(json.loads(row_of(repository, published).read_text()))
        scores = record.protocols[record.main_protocol].scores["all"]
        assert {name: scores[name].value for name in published.expected} == pytest.approx(
            published.expected, abs=FLOAT32
        )
    assert run("validate", repository).exit_code == 0


def test_a_file_is_scored_again_against_the_truth_of_its_own_rows(repository, run, tmp_path):
    for published in PUBLISHED:
        words = ["validate", repository, "--predictions", tmp_path / f"{published.config}.json"]
        done = run(*words, "--data-dir", tmp_path / published.config)
        assert done.exit_code == 0, done.output
        path = row_of(repository, published)
        honest, forged = path.read_text(), json.loads(path.read_text())
        cell = forged["protocols"][published.protocol]["scores"]["all"]["gIoU"]
        cell[0] += 0.01
        path.write_text(json.dumps(forged))
        done = run(*words, "--data-dir", tmp_path / published.config)
        assert done.exit_code == 1
        place = f"protocols, {published.protocol}, scores, all, gIoU: stated {cell[0]}"
        assert place in done.stdout or "outside its interval" in done.stdout
        path.write_text(honest)


def test_a_row_of_another_main_protocol_than_its_authors_is_scored_again_by_its_own(run, tmp_path):
    LASERS.make(tmp_path / "set")
    (tmp_path / "p.json").write_bytes(LASERS.predictions())
    facts = ["--team", "Team", "--name", "Model", "--training", "zero-shot", "--config", "lasers", "--split", "test"]
    words = [tmp_path / "p.json", "--data-dir", tmp_path / "set"]
    done = run("result", *words, "--out", tmp_path / "results", *facts, "--protocol", "native")
    assert done.exit_code == 0, done.output
    record = parse_result(json.loads(row_of(tmp_path / "results", LASERS).read_text()))
    assert record.main_protocol == "native"
    assert record.protocols["native"].scores.keys() > {"all"}  # its groups
    done = run("validate", tmp_path / "results", "--predictions", *words)
    assert done.exit_code == 0, done.output


def test_a_truth_that_is_not_at_hand_is_asked_for_in_a_line(repository, run, tmp_path):
    done = run("validate", repository, "--predictions", tmp_path / "lasers.json")
    assert isinstance(done.exception, DataNotFoundError)
    assert str(done.exception).startswith("the ground truth of lasers/test cannot be loaded: lasers is read from your")
    assert str(done.exception).endswith("Give it with --data-dir or --ground-truth")
    assert "\n" not in str(done.exception)


def test_a_row_of_another_truth_than_its_split_has_here_is_a_fault(repository, run, tmp_path):
    path = row_of(repository, DRSEG)
    path.write_text(json.dumps({**json.loads(path.read_text()), "dataset_sha256": "1" * 64}))
    words = ["--predictions", tmp_path / "drseg.json", "--data-dir", tmp_path / "drseg"]
    done = run("validate", repository, *words)
    assert done.exit_code == 1
    assert "scored against another ground truth than drseg/test has here" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"main_protocol": "native"}, "has another main protocol than the other rows of lasers/test"),
        ({"main_protocol": "mine"}, "unknown main protocol 'mine'"),
        ({"main_protocol": "x" * 41}, "main_protocol"),
    ],
)
def test_rows_of_a_split_share_a_known_main_protocol(repository, run, tmp_path, change, said):
    path = row_of(repository, LASERS)
    folder = repository / "Team__Other" / path.parent.name
    folder.mkdir(parents=True)
    for name in ("meta.json", "result.json"):
        (folder / name).write_text((path.parent / name).read_text().replace("Model of lasers", "Other"))
    assert run("validate", repository).exit_code == 0
    record = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(record | change))
    done = run("validate", repository)
    assert done.exit_code == 1
    assert said in done.stdout.replace("\n", "")
    site = run("static", repository, "--out", tmp_path / "site")
    assert isinstance(site.exception, EarthReasonError)
    assert not (tmp_path / "site").exists()


def test_a_main_protocol_without_scores_is_a_fault(repository, run):
    path = row_of(repository, LASERS)
    record = json.loads(path.read_text())
    del record["protocols"]["lasers"]
    path.write_text(json.dumps(record))
    assert "no scores under the main protocol, lasers" in run("validate", repository).stdout.replace("\n", "")


def test_a_record_of_the_first_versions_has_the_only_protocol_that_they_knew(repository):
    content = json.loads(row_of(repository, RRSIS_D).read_text())
    del content["main_protocol"]
    assert parse_result(content).main_protocol == "segearth-r1"


def test_a_static_site_opens_every_split_with_its_main_protocol(repository, run, tmp_path):
    done = run("static", repository, "--out", tmp_path / "site")
    assert done.exit_code == 0, done.output
    for published in PUBLISHED:
        page = (tmp_path / "site" / f"table-{published.config}-test-{published.protocol}.html").read_text()
        assert f"{100 * published.expected['gIoU']:.2f}" in page
        for other in PUBLISHED:
            assert f'href="table-{other.config}-test-{other.protocol}.html"' in page
    index = (tmp_path / "site" / "index.html").read_text()
    assert any(
        index == (tmp_path / "site" / f"table-{one.config}-test-{one.protocol}.html").read_text() for one in PUBLISHED
    )


def test_the_hub_yaml_names_the_main_protocol(repository, run, tmp_path):
    words = ["--out", tmp_path / "row.yaml", "--dataset", "earth-insights/LaSeRS"]
    assert run("hub", row_of(repository, LASERS).parent, *words).exit_code == 0
    told = yaml.safe_load((tmp_path / "row.yaml").read_text())
    assert told[0]["value"] == round(100 * LASERS.expected["gIoU"], 2)
    assert told[0]["notes"].startswith("protocol lasers, ")


# --- competition hosts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("published", [LASERS, RRSIS_D], ids=lambda one: one.config)
def test_a_codabench_bundle_scores_as_the_authors_do(run, tmp_path, published, is_open):
    published.make(tmp_path / "set")
    words = ["--config", published.config, "--data-dir", tmp_path / "set", *(["--open", "test"] if is_open else [])]
    done = run("codabench", "--out", tmp_path / "bundle.zip", *words)
    assert done.exit_code == 0, done.output
    bundle = unpack(tmp_path / "bundle.zip", tmp_path / "bundle")
    unpack(bundle / "scoring_program.zip", tmp_path / "app" / "program")
    unpack(bundle / "reference_test.zip", tmp_path / "app" / "input" / "ref")
    (tmp_path / "app" / "input" / "res").mkdir()
    (tmp_path / "app" / "input" / "res" / "p.json").write_bytes(published.predictions())
    done = run_program(tmp_path / "app" / "program" / "score.py", tmp_path / "app" / "input", tmp_path / "app" / "out")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "app" / "out" / "scores.json").read_text())
    names = {"giou": "gIoU", "ciou": "cIoU", "pr50": "Pr@0.5", "t_acc": "T-acc"}
    expected = {key: published.expected[name] for key, name in names.items() if name in published.expected}
    told = {key: value for key, value in scores.items() if "native" not in key}
    assert told == pytest.approx(expected if is_open else {key: round(value, 2) for key, value in expected.items()})
    competition = yaml.safe_load((bundle / "competition.yaml").read_text())
    assert [column["key"] for column in competition["leaderboards"][0]["columns"]] == list(scores)
    assert competition["title"] == {"lasers": "LaSeRS", "rrsis-d": "RRSIS-D"}[published.config]
    assert [phase["name"] for phase in competition["phases"]] == ["Test"]  # these sets have no split val
    assert "Million-AID" not in (bundle / "pages" / "terms.md").read_text()


def test_an_evalai_challenge_scores_as_the_authors_do(run, tmp_path):
    LASERS.make(tmp_path / "set")
    (tmp_path / "p.json").write_bytes(LASERS.predictions())
    done = run("evalai", "--out", tmp_path / "c.zip", "--config", "lasers", "--data-dir", tmp_path / "set")
    assert done.exit_code == 0, done.output
    challenge = unpack(tmp_path / "c.zip", tmp_path / "challenge")
    unpack(challenge / "evaluation_script.zip", challenge / "evaluation_script")
    (challenge / "call.py").write_text(
        "import sys, json\nsys.path.insert(0, sys.argv[1])\nfrom evaluation_script import evaluate\n"
        "print(json.dumps(evaluate(sys.argv[2], sys.argv[3], 'test', submission_metadata={})))\n"
    )
    done = run_program(challenge / "call.py", challenge, challenge / "annotations" / "test.json", tmp_path / "p.json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["submission_result"]
    assert (scores["gIoU"], scores["cIoU"]) == (0.53, 0.54)  # 52.81 and 54.38 by `published_sets`
    labels = yaml.safe_load((challenge / "challenge_config.yaml").read_text())["leaderboard"][0]["schema"]["labels"]
    assert labels == list(scores)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "lasers", "--split", "train"], "a competition has the splits val and test, or one of them"),
        (["--config", "lasers", "--split", "val"], "unknown split 'val'"),
        (["--config", "laser"], "did you mean 'lasers'"),
        (["--config", "lasers", "--protocol", "laser"], "did you mean 'lasers'"),
    ],
)
def test_a_bundle_that_cannot_be_is_refused_in_a_line(run, tmp_path, words, said):
    LASERS.make(tmp_path / "set")
    done = run("codabench", "--out", tmp_path / "bundle.zip", "--data-dir", tmp_path / "set", *words)
    assert isinstance(done.exception, EarthReasonError)
    assert said in str(done.exception)
    assert not (tmp_path / "bundle.zip").exists()
