"""The queue. Workers claim rows by a conditional update with a lease, so no job is lost or stored twice."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from earthreason.metrics.protocols import DEFAULT_PROTOCOL

from .history import SCORED_AGAIN, SCORING, differences, note_change
from .listing import unlist
from .outgoing import FAILED_EVENT, SCORED_EVENT, tell_team
from .settings import Settings
from .tables import (
    DELETED,
    FAILED,
    PUBLIC,
    QUEUED,
    RUNNING,
    SCORED,
    UPLOADING,
    GalleryPicture,
    ScoredResult,
    Submission,
)
from .versions import count_change

ASK_AGAIN = "submit the same file again in ten minutes; the organisers can find the cause in the log"
_SCORED_WITH = ("earthreason", "dataset_sha256", "main_protocol")
GAVE_UP = f"scoring stopped {{attempts}} times without a result, through no fault of the file; {ASK_AGAIN}"


@dataclass(frozen=True)
class ScoringJob:
    """A submission that only this worker may finish until the lease ends."""

    submission_id: str
    split_id: int
    sha256: str
    generation: int
    attempt: int
    claim: str


@dataclass(frozen=True)
class JobOutcome:
    """The result of scoring, ready to be stored."""

    record: dict[str, Any]
    counts: bytes
    table: bytes | None
    gallery: list[dict[str, Any]]
    pictures: dict[str, bytes]
    seconds: float


def claim_job(session: Session, settings: Settings) -> ScoringJob | None:
    """Claim the oldest job that is queued or whose lease has run out; return None if there is none."""
    now = time.time()
    _give_up(session, settings, now)
    free = or_(Submission.state == QUEUED, and_(Submission.state == RUNNING, Submission.lease_until < now))
    while True:
        chosen = session.scalar(
            select(Submission.id)
            .where(free)
            .order_by(Submission.queued_at, Submission.uploaded)
            .limit(1)
            .with_for_update(skip_locked=True, of=Submission)
        )
        if chosen is None:
            return None
        claim = secrets.token_hex(16)
        taken = session.execute(
            update(Submission)
            .where(Submission.id == chosen, free)
            .values(
                state=RUNNING,
                claim=claim,
                lease_until=now + settings.lease_seconds,
                attempts=Submission.attempts + 1,
            )
            .returning(Submission.split_id, Submission.sha256, Submission.generation, Submission.attempts)
        ).first()
        if taken is not None:
            return ScoringJob(chosen, taken.split_id, taken.sha256, taken.generation, taken.attempts, claim)


def _give_up(session: Session, settings: Settings, now: float) -> None:
    given_up = session.scalars(
        update(Submission)
        .where(Submission.state == RUNNING, Submission.lease_until < now, Submission.attempts >= settings.attempts)
        .values(
            state=FAILED,
            claim=None,
            lease_until=None,
            error=GAVE_UP.format(attempts=settings.attempts),
            host_fault=True,
        )
        .returning(Submission.id)
    ).all()
    for submission_id in given_up:
        tell_team(session, session.get_one(Submission, submission_id), FAILED_EVENT)


def queue_again(session: Session, which: ColumnElement[bool]) -> int:
    """Queue uploaded submissions again. Existing results are kept as earlier generations.

    Returns:
        The number of submissions queued.
    """
    again = (
        update(Submission)
        .where(which, Submission.state != UPLOADING, Submission.visibility != DELETED)
        .values(
            state=QUEUED,
            generation=Submission.generation + 1,
            attempts=0,
            claim=None,
            lease_until=None,
            error=None,
            host_fault=False,
            queued_at=time.time(),
        )
        .returning(Submission.id)
    )
    ids = list(session.scalars(again).all())
    unlist(session, ids)
    return len(ids)


def finish_job(session: Session, job: ScoringJob, outcome: JobOutcome) -> bool:
    """Store a result. Return False and store nothing if the worker has lost its claim."""
    if not _release(session, job, SCORED, None):
        return False
    result = ScoredResult(
        submission_id=job.submission_id,
        generation=job.generation,
        created=time.time(),
        seconds=outcome.seconds,
        record=outcome.record,
        counts=outcome.counts,
        table=outcome.table,
        gallery=outcome.gallery,
    )
    session.add(result)
    session.flush()
    _note_rescoring(session, job, outcome.record)
    old = select(ScoredResult.id).where(
        ScoredResult.submission_id == job.submission_id, ScoredResult.generation < job.generation
    )
    session.execute(delete(GalleryPicture).where(GalleryPicture.result_id.in_(old)))
    session.add_all(
        GalleryPicture(result_id=result.id, name=name, content=content) for name, content in outcome.pictures.items()
    )
    tell_team(session, session.get_one(Submission, job.submission_id), SCORED_EVENT)
    if session.scalar(select(Submission.visibility).where(Submission.id == job.submission_id)) == PUBLIC:
        count_change(session, job.submission_id)
    return True


def _note_rescoring(session: Session, job: ScoringJob, record: dict[str, Any]) -> None:
    """Note in the history of a row that was ever public that it has a new result, and what it was scored with."""
    earlier = session.scalar(
        select(ScoredResult.record)
        .where(ScoredResult.submission_id == job.submission_id, ScoredResult.generation < job.generation)
        .order_by(ScoredResult.generation.desc())
        .limit(1)
    )
    submission = session.get_one(Submission, job.submission_id)
    if earlier is not None and submission.published is not None:
        complete = [{"main_protocol": DEFAULT_PROTOCOL, **each} for each in (earlier, record)]
        former, new = ({name: each.get(name) for name in _SCORED_WITH} for each in complete)
        note_change(session, submission, SCORED_AGAIN, SCORING, differences(former, new))


def fail_job(session: Session, job: ScoringJob, reason: str, *, host_fault: bool = False) -> bool:
    """Record why a file could not be scored. Return False if the worker has lost its claim."""
    if not _release(session, job, FAILED, reason, host_fault):
        return False
    tell_team(session, session.get_one(Submission, job.submission_id), FAILED_EVENT)
    return True


def return_job(session: Session, job: ScoringJob) -> bool:
    """Put back a job that could not be tried, without counting the attempt. Return False if the claim is lost."""
    if not _release(session, job, QUEUED, None):
        return False
    session.execute(
        update(Submission).where(Submission.id == job.submission_id).values(attempts=Submission.attempts - 1)
    )
    return True


def _release(session: Session, job: ScoringJob, state: str, error: str | None, host_fault: bool = False) -> bool:
    released = session.execute(
        update(Submission)
        .where(Submission.id == job.submission_id, Submission.state == RUNNING, Submission.claim == job.claim)
        .values(state=state, claim=None, lease_until=None, error=error, host_fault=host_fault)
        .returning(Submission.id)
    ).first()
    return released is not None
