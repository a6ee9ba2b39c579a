"""The listing follows the submissions, whatever changes them, and so do the changes that pages are drawn by."""

import pytest
from sqlalchemy import delete, select, update

from leaderboard.changes import changes_since, key_of_model, last_change
from leaderboard.jobs import queue_again
from leaderboard.listing import FORM, refresh
from leaderboard.tables import BoardChange, ListedRow, ListedScore, Submission, Version
from leaderboard.versions import count_change
from tests.leaderboard.toys import make_predictions


@pytest.fixture
def two(hand, references):
    return [hand.published(make_predictions(references, seed), split="toy/open") for seed in range(2)]


def listed(database):
    with database.read() as session:
        return set(session.scalars(select(ListedRow.entry_id)))


def test_a_row_is_listed_while_it_is_public_and_its_scores_leave_with_it(hand, two, database):
    assert listed(database) == set(two)
    hand.set(two[0], "private")
    assert listed(database) == {two[1]}
    hand.set(two[1], "withdrawn")
    with database.read() as session:
        assert session.scalars(select(ListedScore)).first() is None
    hand.set(two[0], "public")
    assert listed(database) == {two[0]}


def test_a_new_score_and_a_flag_reach_the_listing(hand, two, database):
    with database.write() as session:
        queue_again(session, Submission.id == two[0])
    assert listed(database) == {two[1]}
    hand.score()
    hand.client.put(f"/api/submissions/{two[0]}/flag", json={"reason": "odd"}, headers=hand.headers("admin"))
    with database.read() as session:
        flags = dict(session.execute(select(ListedRow.entry_id, ListedRow.flag)).all())
    assert flags == {two[0]: "odd", two[1]: None}


def test_a_change_of_one_row_names_that_row_only(hand, two, database):
    with database.read() as session:
        before = last_change(session)
    hand.set(two[1], "private")
    with database.read() as session:
        changes = changes_since(session, before)
    model = key_of_model("Team Alpha", "model a")
    assert changes.rows == {before + 1: ("toy/open", two[1]), before + 2: (model, two[1])}
    assert not changes.everything


def test_a_forgotten_change_counts_as_everything(hand, two, database):
    with database.read() as session:
        before = last_change(session)
    hand.set(two[1], "private")
    hand.set(two[1], "public")
    with database.write() as session:
        session.execute(delete(BoardChange).where(BoardChange.number == before + 1))
    with database.read() as session:
        assert changes_since(session, before).everything
        assert not changes_since(session, before + 1).everything
        assert changes_since(session, before + 9).everything  # a database restored from an older backup


def test_a_change_past_the_board_is_made_good_by_a_count_without_a_name(two, database):
    with database.write() as session:
        session.get(Submission, two[0]).details = {"model": "Renamed", "training": "trained"}
        session.get(Submission, two[1]).visibility = "private"
        count_change(session)
    with database.read() as session:
        (row,) = session.scalars(select(ListedRow))
        assert (row.entry_id, row.name, row.details["model"]) == (two[0], "renamed", "Renamed")


def test_a_listing_of_an_older_form_is_made_anew_with_the_migrations(two, database):
    with database.write() as session:
        session.execute(update(ListedRow).values(name="old"))
        session.execute(update(Version).values(listing_form=FORM - 1))
    database.migrate()
    with database.read() as session:
        assert set(session.scalars(select(ListedRow.name))) == {"model a"}


def test_the_contact_is_not_listed(hand, references, database):
    metadata = {"model": "M", "training": "trained", "contact": "me@example.org"}
    submission_id = hand.published(make_predictions(references), split="toy/open", metadata=metadata)
    with database.write() as session:
        refresh(session, submission_id)
        (row,) = session.scalars(select(ListedRow))
        assert "contact" not in row.details
    assert "me@example.org" not in hand.client.get("/api/board?split=toy/open").text


def test_a_restored_backup_is_listed(hand, two, database, tmp_path):
    from leaderboard.backup import restore_backup, write_backup
    from leaderboard.database import Database

    write_backup(database, tmp_path / "b.gz")
    other = Database(f"sqlite:///{tmp_path}/restored.sqlite3")
    counts = restore_backup(other, tmp_path / "b.gz")
    assert "listed_rows" not in counts
    assert listed(other) == set(two)
