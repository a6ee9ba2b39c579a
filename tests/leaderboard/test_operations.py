"""What an operator does: commands, settings, migrations, backup, health."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from typer.testing import CliRunner

from earthreason.errors import EarthReasonError
from earthreason.metrics.references import write_references
from leaderboard.cli import app
from leaderboard.database import Database
from leaderboard.jobs import claim_job
from leaderboard.settings import Settings
from leaderboard.splits import SplitContent, put_split
from leaderboard.tables import Base, Submission
from leaderboard.tokens import find_caller
from tests.leaderboard.toys import make_predictions, make_references

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch, database_url):
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*words):
        return CliRunner().invoke(app, words)

    return run


# --- tables ----------------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_of_the_models(database):
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == []


def test_migrating_again_changes_nothing_and_keeps_rows(database, board):
    database.migrate()
    with database.read() as session:
        assert find_caller(session, board["alpha"]).team == "Team Alpha"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_a_board_of_the_first_version_is_brought_up_to_date_with_its_rows(kind, tmp_path, request):
    """Tables of 0001 with what that version wrote; afterwards every row is there and the queue goes on."""
    url = f"sqlite:///{tmp_path}/old.sqlite3"
    if kind == "postgresql":
        url = request.getfixturevalue("cluster").create("first_version")
    database = Database(url)
    database.migrate("0001")
    queued = {"state": "queued", "uploaded": 50.0}
    given_up = {
        "state": "failed",
        "uploaded": 60.0,
        "error": "scoring stopped without a result 3 times; the",
    }
    crashed = {"state": "failed", "uploaded": 65.0, "error": "scoring failed by a fault of ours; the organisers can"}
    refused = {"state": "failed", "uploaded": 70.0, "error": "predictions: 1 error"}
    awaited = {"state": "uploading", "uploaded": None}
    with database.write() as session:
        session.execute(text("INSERT INTO teams (id, name, created) VALUES (1, 'Team Old', 1.0)"))
        session.execute(
            text(
                "INSERT INTO splits (id, config, name, hidden, closed, truth_sha256, questions, empty_targets,"
                " created, truth, samples) VALUES (1, 'toy', 'test', :yes, :no, 'x', 1, 0, 1.0, :bytes, :bytes)"
            ),
            {"yes": True, "no": False, "bytes": b"{}"},
        )
        for n, row in enumerate((queued, given_up, crashed, refused, awaited)):
            session.execute(
                text(
                    "INSERT INTO submissions (id, team_id, split_id, sha256, size, metadata, visibility, created,"
                    " uploaded, state, generation, attempts, error) "
                    "VALUES (:id, 1, 1, :id, 3, '{}', 'private', 1.0, :uploaded, :state, 1, 0, :error)"
                ),
                {"id": f"row-{n}", "error": None, **row},
            )
    database.migrate()
    with database.read() as session:
        rows = session.query(Submission).order_by(Submission.id).all()
        assert [row.queued_at for row in rows] == [50.0, 60.0, 65.0, 70.0, None]
        assert [row.host_fault for row in rows] == [False, True, True, False, False]
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
    with database.write() as session:
        assert claim_job(session, Settings()).submission_id == "row-0"
    database.engine.dispose()


def test_a_database_of_a_newer_version_is_refused(database):
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(EarthReasonError, match="newer version"):
        database.migrate()


def test_an_empty_file_becomes_a_board(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/new.sqlite3")
    database.migrate()
    with database.read() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.query(Submission).count() == 0


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y"])
def test_a_wrong_address_is_one_clear_line(url):
    with pytest.raises(EarthReasonError, match="DATABASE_URL"):
        Database(url)


def test_a_database_that_is_not_there_is_one_clear_line():
    with pytest.raises(EarthReasonError, match="does not answer"):
        Database("postgresql://nobody@127.0.0.1:9/none").wait(0.1)


# --- commands --------------------------------------------------------------------------------------------------------


def test_tokens_are_made_listed_and_revoked(command, database):
    made = command("token", "create", "Earth Lab")
    secret = re.search(r"er_\S+", made.stdout).group()
    with database.read() as session:
        assert find_caller(session, secret).team == "Earth Lab"
    listed = command("token", "list").stdout
    assert "Earth Lab" in listed
    assert secret not in listed
    assert command("token", "revoke", "1").exit_code == 0
    with database.read() as session:
        assert find_caller(session, secret) is None
    assert "revoked" in command("token", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        "token create",
        "token create T --admin",
        "token create a\u202eb",
        "token revoke 99",
        "split close no/split",
        "flag x",
    ],
)
def test_wrong_words_are_input_errors(command, words):
    assert isinstance(command(*words.split()).exception, EarthReasonError)


def test_a_split_comes_from_a_ground_truth_file(command, tmp_path):
    write_references(tmp_path / "truth.json", make_references())
    words = ["--ground-truth", str(tmp_path / "truth.json"), "--config", "mine", "--split", "test"]
    added = command("split", "add", *words)
    assert "mine/test: 40 questions, 4 images without a target, labels hidden" in added.stdout
    assert command("split", "close", "mine/test").exit_code == 0
    assert "closed" in command("split", "list").stdout
    assert isinstance(command("split", "add", *words[:2], "--config", "a/b").exception, EarthReasonError)


@pytest.mark.parametrize("kind", ["open", "hidden"])
def test_a_split_whose_truth_is_replaced_stays_open_or_hidden(command, tmp_path, kind):
    words = ["--ground-truth", str(tmp_path / "truth.json"), "--config", "mine", "--split", "test"]
    write_references(tmp_path / "truth.json", make_references())
    command("split", "add", *words, f"--{kind}")
    write_references(tmp_path / "truth.json", make_references("other"))
    assert f"labels {kind}, ranked by segearth-r1\n" in command("split", "add", *words).stdout
    listed = json.loads(command("split", "list", "--json", "-").stdout)
    assert [(row["split"], row["hidden"]) for row in listed] == [("mine/test", kind == "hidden")]
    other = "hidden" if kind == "open" else "open"
    assert f"labels {other}, before {kind}" in command("split", "add", *words, f"--{other}").stdout


def test_validation_and_val_are_one_split(command, tmp_path):
    """Two would have the same labels, and each its own limits of what may be learnt of them."""
    write_references(tmp_path / "truth.json", make_references())
    for name in ("val", "validation"):
        command("split", "add", "--ground-truth", str(tmp_path / "truth.json"), "--config", "mine", "--split", name)
    listed = json.loads(command("split", "list", "--json", "-").stdout)
    assert [row["split"] for row in listed] == ["mine/val"]


def test_a_deleted_submission_is_not_flagged_by_command(command, hand, references):
    submission_id = hand.published(make_predictions(references))
    hand.client.delete(f"/api/submissions/{submission_id}", headers=hand.headers())
    failed = command("flag", submission_id, "--reason", "too late")
    assert "there is no submission" in str(failed.exception)


def test_flagging_by_command(command, hand, references):
    submission_id = hand.published(make_predictions(references))
    assert command("flag", submission_id, "--reason", "seen in training").exit_code == 0
    assert hand.get(submission_id).json()["flag"] == "seen in training"
    assert isinstance(command("flag", submission_id, "--reason", "a\udcffb").exception, EarthReasonError)
    command("flag", submission_id)
    assert hand.get(submission_id).json()["flag"] is None


def test_public_rows_are_exported_as_a_sound_repository(command, hand, references, tmp_path):
    from leaderboard.repo_checks import validate
    from leaderboard.results_repo import read_repository

    ids = [hand.published(make_predictions(references), split=split) for split in ("toy/open", "toy/test")]
    hand.submit(make_predictions(references, 1), split="toy/open")
    hand.score()
    assert "2 rows" in command("export", "--out", str(tmp_path / "results")).stdout.replace("\n", " ")
    assert validate(tmp_path / "results") == []
    rows = [(entry.model, entry.record.split) for entry in read_repository(tmp_path / "results")]
    assert rows == [("Model A", "open"), ("Model A", "test")]
    assert "2 rows" in command("export", "--out", str(tmp_path / "results")).stdout.replace("\n", " ")  # once more
    hand.set(ids[0], "withdrawn")
    again = command("export", "--out", str(tmp_path / "results"))
    assert "1 row" in again.stdout.replace("\n", " ")
    gone = next((tmp_path / "results").glob("*/toy-open-*"))
    assert again.stderr.replace("\n", "") == (
        f"{gone}: not a public row of this server, or no longer; remove it unless it came another way"
    )


# --- health ----------------------------------------------------------------------------------------------------------


def test_health_says_when_nobody_scores(hand, references, database):
    assert hand.client.get("/health").json() == {"status": "ok", "queued": 0, "oldest_seconds": 0.0}
    submission_id = hand.submit(make_predictions(references))
    assert hand.client.get("/health").json()["queued"] == 1
    with database.write() as session:
        session.get(Submission, submission_id).queued_at -= 1000
    assert hand.client.get("/health").json()["status"] == "late"


def test_files_that_are_scored_again_have_waited_since_then_only(hand, references, database):
    """A corrected truth queues files of last month; nobody has waited a month for that."""
    submission_id = hand.published(make_predictions(references))
    month = 30 * 86_400
    with database.write() as session:
        submission = session.get(Submission, submission_id)
        submission.uploaded -= month
        submission.queued_at -= month
    changed = make_references()
    changed._by_id["toy_001"] = type(changed["toy_001"])("toy_001", changed["toy_000"].segmentation)
    with database.write() as session:
        assert put_split(session, "toy", "test", SplitContent(changed, None), hidden=True)[1] == 1
    health = hand.client.get("/health").json()
    assert (health["status"], health["queued"]) == ("ok", 1)
    assert health["oldest_seconds"] < 60


def test_a_submission_is_scored_again_by_command(command, hand, references, database):
    submission_id = hand.submit(make_predictions(references))
    hand.score()
    assert "1 queued" in command("rescore", submission_id).stdout
    assert hand.get(submission_id).json()["state"] == "queued"
    assert hand.score() == 1
    with database.read() as session:
        assert session.get(Submission, submission_id).generation == 2
    announced = hand.announce(make_predictions(references, 1)).json()["id"]
    for absent in (announced, "-0123456789012345678_x"):
        failed = command("rescore", submission_id, absent).exception
        assert "nothing was queued" in str(failed)
    assert hand.score() == 0


def test_metrics_are_totals_in_prometheus_form(hand, references):
    hand.published(make_predictions(references))
    told = hand.client.get("/metrics").text
    assert 'board_submissions{state="scored"} 1' in told
    assert "board_scoring_seconds_count 1" in told
    assert "Team" not in told
    assert all(re.fullmatch(r"# TYPE \S+ \w+|\S+(\{\S+\})? [\d.]+", line) for line in told.splitlines())


@pytest.mark.postgres
def test_a_database_that_goes_away_is_503_and_then_works_again(cluster):
    from fastapi.testclient import TestClient

    from leaderboard.web.app import create_app

    url = cluster.create("goes_away")
    with TestClient(create_app(Settings(database_url=url)), raise_server_exceptions=False) as client:
        assert client.get("/health").status_code == 200
        cluster.kill()
        answer = client.get("/health")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        cluster.start()
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("command", ["serve", "web"])
def test_a_port_that_is_taken_is_named_before_anything_starts(command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "leaderboard", command, "--port", str(port)],
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'board.sqlite3'}"},
        )
    assert done.returncode == 2, done.stderr
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not (tmp_path / "board.sqlite3").exists()
