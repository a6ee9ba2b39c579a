"""The queue: leases, attempts, and whose fault a failure is."""

import concurrent.futures
import os
import signal
import time

import pytest
from sqlalchemy import select

from leaderboard import sandbox as sandbox_module
from leaderboard.database import Database
from leaderboard.jobs import JobOutcome, claim_job, fail_job, finish_job, queue_again, return_job
from leaderboard.sandbox import CRASHED, ENDED, KILLED, SandboxTask
from leaderboard.submissions import RETRY_WAIT
from leaderboard.tables import FAILED, GalleryPicture, ScoredResult, Split, Submission, Team
from leaderboard.versions import board_version
from tests.leaderboard.toys import make_predictions


def test_a_killed_sandbox_costs_no_attempt(hand, references, sandbox):
    submission_id = hand.submit(make_predictions(references))
    sandbox._process.kill()
    sandbox._process.wait()
    assert hand.score() >= 1
    assert hand.get(submission_id).json()["state"] == "scored"
    with hand.worker.database.read() as session:
        assert session.get(Submission, submission_id).attempts == 1


def test_a_worker_that_lost_its_lease_writes_nothing(hand, references, database, settings):
    submission_id = hand.submit(make_predictions(references))
    with database.write() as session:
        slow = claim_job(session, settings)
    with database.write() as session:
        session.get(Submission, submission_id).lease_until = 1.0
    assert hand.score() == 1  # another worker takes it over
    outcome = JobOutcome({}, b"", None, [], {}, 0.0)
    with database.write() as session:
        assert finish_job(session, slow, outcome) is False
    with database.read() as session:
        assert session.query(ScoredResult).count() == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda session, job: finish_job(session, job, JobOutcome({}, b"", None, [], {}, 0.0)),
        lambda session, job: fail_job(session, job, "too late"),
        return_job,
    ],
    ids=["finish", "fail", "return"],
)
def test_a_worker_cannot_end_a_job_that_another_worker_is_running(hand, references, database, settings, end):
    """The state is `running` for both workers; only the claim tells them apart."""
    submission_id = hand.submit(make_predictions(references))
    with database.write() as session:
        slow = claim_job(session, settings)
    with database.write() as session:
        session.get(Submission, submission_id).lease_until = 1.0
    with database.write() as session:
        current = claim_job(session, settings)
    with database.write() as session:
        assert end(session, slow) is False
    with database.read() as session:
        submission = session.get(Submission, submission_id)
        assert (submission.state, submission.claim, submission.attempts) == ("running", current.claim, 2)
        assert submission.error is None
        assert session.query(ScoredResult).count() == 0
    with database.write() as session:
        assert end(session, current) is True


def test_jobs_are_claimed_in_the_order_in_which_they_were_queued(hand, references, database, settings):
    """The order differs from that of the rows; a job whose lease has run out keeps its place."""
    ids = [hand.submit(make_predictions(references, seed), split="toy/open") for seed in range(5)]
    queued_at = [30.0, 10.0, 50.0, 20.0, 40.0]
    with database.write() as session:
        for submission_id, moment in zip(ids, queued_at, strict=True):
            session.get(Submission, submission_id).queued_at = moment
        abandoned = session.get(Submission, ids[3])
        abandoned.state, abandoned.lease_until, abandoned.attempts = "running", 1.0, 1
    claimed = []
    for _ in ids:
        with database.write() as session:
            claimed.append(claim_job(session, settings).submission_id)
    assert claimed == [ids[1], ids[3], ids[0], ids[4], ids[2]]


def test_jobs_queued_together_are_claimed_in_the_order_of_their_uploads(hand, references, database, settings):
    """As after a corrected truth, which queues every submission at one moment."""
    ids = [hand.submit(make_predictions(references, seed), split="toy/open") for seed in range(3)]
    with database.write() as session:
        for submission_id, uploaded in zip(ids, (20.0, 30.0, 10.0), strict=True):
            submission = session.get(Submission, submission_id)
            submission.queued_at, submission.uploaded = 100.0, uploaded
    claimed = []
    for _ in ids:
        with database.write() as session:
            claimed.append(claim_job(session, settings).submission_id)
    assert claimed == [ids[2], ids[0], ids[1]]


def test_a_job_whose_workers_always_die_fails_in_the_end(hand, references, database, settings):
    submission_id = hand.submit(make_predictions(references))
    for _ in range(settings.attempts):
        with database.write() as session:
            assert claim_job(session, settings).submission_id == submission_id
        with database.write() as session:
            session.get(Submission, submission_id).lease_until = 1.0
    with database.write() as session:
        assert claim_job(session, settings) is None
    told = hand.get(submission_id).json()
    assert told["state"] == FAILED
    assert "through no fault of the file; submit the same file again" in told["error"]


def test_a_file_that_failed_by_a_fault_of_ours_is_scored_when_it_is_submitted_again(
    hand, references, database, settings
):
    content = make_predictions(references)
    submission_id = hand.submit(content)
    exhaust(database, submission_id, settings)
    assert hand.announce(content).json()["state"] == FAILED  # at once nothing would be better
    with database.write() as session:
        session.get(Submission, submission_id).queued_at -= RETRY_WAIT + 1
    again = hand.announce(content).json()
    assert (again["id"], again["state"], again["error"]) == (submission_id, "queued", None)
    assert hand.score() == 1
    assert hand.get(submission_id).json()["state"] == "scored"


def test_a_file_that_failed_by_its_own_fault_stays_failed(hand, database):
    content = b'[{"sample_id": "nobody", "segmentation": null}]'
    submission_id = hand.submit(content)
    hand.score()
    with database.write() as session:
        session.get(Submission, submission_id).queued_at -= RETRY_WAIT + 1
    assert hand.announce(content).json()["state"] == FAILED
    assert hand.score() == 0


def test_a_crash_of_the_judge_is_our_fault(hand, references, database, monkeypatch):
    submission_id = hand.submit(make_predictions(references))
    monkeypatch.setattr(hand.sandbox, "score", lambda *_: CRASHED)
    hand.score()
    assert "because of an error on the server; submit the same file again" in hand.get(submission_id).json()["error"]
    with database.read() as session:
        assert session.get(Submission, submission_id).host_fault


def exhaust(database, submission_id, settings):
    """Let a job's workers die until nobody takes it any more."""
    for _ in range(settings.attempts + 1):
        with database.write() as session:
            claim_job(session, settings)
        with database.write() as session:
            submission = session.get(Submission, submission_id)
            submission.lease_until = submission.lease_until and 1.0


def test_a_child_that_the_kernel_kills_is_tried_again_and_the_file_is_not_blamed(
    hand, references, database, monkeypatch
):
    """Where memory runs out the kernel sends SIGKILL to whom it likes; our own limits send other signals."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, signal.SIGKILL)
    assert sandbox_module._wait_for(child, 30) == ENDED
    submission_id = hand.submit(make_predictions(references))
    with monkeypatch.context() as patched:
        patched.setattr(hand.sandbox, "score", lambda *_: ENDED)
        assert hand.score() == 1
    told = hand.get(submission_id).json()
    assert (told["state"], told["error"]) == ("running", None)
    with database.write() as session:
        session.get(Submission, submission_id).lease_until = 1.0
    assert hand.score() == 1
    assert hand.get(submission_id).json()["state"] == "scored"


def test_the_processor_limit_ends_a_child_by_a_signal_of_its_own(tmp_path):
    task = SandboxTask("toy", "test", "segearth-r1", True, "truth", None, 1, time_limit=1, memory_mib=512)
    child = os.fork()
    if child == 0:
        sandbox_module._limit(task)
        while True:
            pass
    assert sandbox_module._wait_for(child, 30) == KILLED


def test_many_workers_claim_every_job_once(hand, references, database_url, settings):
    for seed in range(20):
        hand.submit(make_predictions(references, seed), split="toy/open")

    def claim_all():
        database, claimed = Database(database_url), []
        while True:
            with database.write() as session:
                job = claim_job(session, settings)
            if job is None:
                database.engine.dispose()
                return claimed
            claimed.append(job.submission_id)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        parts = [pool.submit(claim_all) for _ in range(6)]
        claimed = [submission_id for part in parts for submission_id in part.result()]
    assert len(claimed) == 20
    assert len(set(claimed)) == 20


def add_submissions(session, *rows):
    """Add submissions "0", "1", ... of one team to one split, queued unless the values say otherwise."""
    team, split = session.scalars(select(Team.id)).first(), session.scalars(select(Split.id)).first()
    for name, values in zip(map(str, range(len(rows))), rows, strict=True):
        facts = {"state": "queued", "queued_at": 1.0, "uploaded": 1.0, "created": 0.0, **values}
        session.add(Submission(id=name, sha256=name, team_id=team, split_id=split, size=1, details={}, **facts))
    session.flush()


def test_queueing_again_resets_only_the_chosen_uploaded_submissions(database, board):
    failed = {"state": "failed", "generation": 2, "attempts": 3, "error": "stopped", "host_fault": True}
    running = {"state": "running", "attempts": 1, "claim": "secret", "lease_until": 5.0}
    with database.write() as session:
        add_submissions(session, failed, running, {"state": "scored"}, {"state": "uploading", "uploaded": None})
        before = time.time()
        assert queue_again(session, Submission.id != "2") == 2
        after = time.time()
    with database.read() as session:
        first, second, *others = session.scalars(select(Submission).order_by(Submission.id))
        for row, generation in ((first, 3), (second, 2)):
            assert (row.state, row.generation, row.attempts) == ("queued", generation, 0)
            assert (row.claim, row.lease_until, row.error, row.host_fault) == (None, None, None, False)
            assert before <= row.queued_at <= after
        assert [(row.state, row.generation, row.queued_at) for row in others] == [
            ("scored", 1, 1.0),
            ("uploading", 1, 1.0),
        ]


def test_a_new_result_is_stored_whole_and_replaces_the_pictures_of_the_earlier_one(database, board, settings):
    def finish(number):
        outcome = JobOutcome(
            {"number": number}, b"counts", b"table", [{"title": "best"}], {"0-truth": b"%d" % number}, number / 2
        )
        with database.write() as session:
            job = claim_job(session, settings)
            assert len(bytes.fromhex(job.claim)) == 16
            before = board_version(session)
            assert finish_job(session, job, outcome)
            return job.submission_id, job.generation, board_version(session) - before

    with database.write() as session:
        add_submissions(session, {"queued_at": 1.0, "visibility": "public"}, {"queued_at": 2.0})
    assert [finish(3), finish(4)] == [("0", 1, 1), ("1", 1, 0)]  # only the first one is on the board
    with database.write() as session:
        queue_again(session, Submission.id == "0")
    assert finish(5) == ("0", 2, 1)
    with database.read() as session:
        rows = session.scalars(select(Submission))
        assert {(r.state, r.claim, r.lease_until, r.host_fault) for r in rows} == {("scored", None, None, False)}
        results = session.scalars(select(ScoredResult).order_by(ScoredResult.id)).all()
        stored = [(r.submission_id, r.generation, r.record["number"], r.seconds) for r in results]
        assert stored == [("0", 1, 3, 1.5), ("1", 1, 4, 2.0), ("0", 2, 5, 2.5)]
        assert {(r.counts, r.table, r.gallery[0]["title"]) for r in results} == {(b"counts", b"table", "best")}
        pictures = session.execute(select(GalleryPicture.result_id, GalleryPicture.content)).all()
        assert sorted(map(tuple, pictures)) == [(results[1].id, b"4"), (results[2].id, b"5")]


def test_a_file_is_to_blame_for_a_failure_unless_the_worker_says_otherwise(database, board, settings):
    with database.write() as session:
        add_submissions(session, {}, {})
        assert fail_job(session, claim_job(session, settings), "no masks")
        assert fail_job(session, claim_job(session, settings), "no memory", host_fault=True)
    with database.read() as session:
        rows = session.scalars(select(Submission).order_by(Submission.error))
        assert [(row.state, row.error, row.host_fault) for row in rows] == [
            ("failed", "no masks", False),
            ("failed", "no memory", True),
        ]
