"""The steps of a submission: announcement, upload, publication, withdrawal."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of

from .history import (
    FLAGGED,
    MADE_PRIVATE,
    ORGANISERS,
    PUBLISHED,
    RESTORED,
    differences,
    forget_entries,
    note_change,
)
from .history import WITHDRAWN as WITHDREW
from .jobs import queue_again
from .outgoing import FLAGGED_EVENT, tell_team
from .records import Metadata, check_reason
from .settings import Settings
from .tables import (
    DELETED,
    FAILED,
    PRIVATE,
    PUBLIC,
    QUEUED,
    SCORED,
    UPLOADING,
    WITHDRAWN,
    ScoredResult,
    Split,
    Submission,
    Team,
    Upload,
)
from .tokens import Caller
from .versions import count_change

DAY = 86_400
_ACTIONS = {PUBLIC: PUBLISHED, PRIVATE: MADE_PRIVATE, WITHDRAWN: WITHDREW}
UPLOAD_WAIT = 3600
"""Seconds after which an announced submission without a file is deleted."""
RETRY_WAIT = 600
"""Seconds between retries of a file that failed on the server; crafted files could otherwise keep workers busy."""


class RefusedError(EarthReasonError):
    """A request that the rules of the board do not allow; `status` is the HTTP status to answer with."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class NotThereError(RefusedError):
    """There is no such submission, or the caller may not see it; both return the same 404."""

    def __init__(self) -> None:
        super().__init__("there is no such submission", status=404)


@dataclass(frozen=True)
class Announcement:
    """A file that is about to be uploaded."""

    sha256: str
    size: int
    metadata: Metadata
    card: dict[str, Any] | None


class Announced(NamedTuple):
    """The submission of an announced file, whether it is new, and what a repeated announcement has done."""

    submission: Submission
    new: bool
    notice: str | None


def announce(session: Session, caller: Caller, split: Split, given: Announcement, settings: Settings) -> Announced:
    """Find the team's submission of this file to this split or create it.

    Raises:
        RefusedError: the split is closed, the file too large, or the team has used up its submissions.
    """
    if caller.team_id is None:
        raise RefusedError("an administrator's token cannot submit; use a team's token", status=403)
    # The team's row is locked, so that two requests at once cannot both take the last free place.
    session.execute(select(Team.id).where(Team.id == caller.team_id).with_for_update())
    now = time.time()
    _forget_overdue(session, caller.team_id, now)
    earlier = session.scalar(
        select(Submission).where(
            Submission.team_id == caller.team_id, Submission.split_id == split.id, Submission.sha256 == given.sha256
        )
    )
    if split.closed and (earlier is None or earlier.state == UPLOADING):
        raise _closed(split)
    if earlier is not None:
        return Announced(earlier, False, _take_again(session, earlier, given, now, caller.team))
    if given.size > settings.max_upload_bytes:
        raise RefusedError(f"the file is over {settings.max_upload_mib} MiB", status=413)
    _check_limits(session, caller.team_id, split, settings, now)
    submission = Submission(
        id=secrets.token_urlsafe(16),  # 128 random bits: a private row cannot be found by counting
        team_id=caller.team_id,
        split_id=split.id,
        sha256=given.sha256,
        size=given.size,
        details=given.metadata.model_dump(mode="json"),
        card=given.card,
        created=now,
    )
    session.add(submission)
    session.flush()
    return Announced(submission, True, None)


def _take_again(session: Session, earlier: Submission, given: Announcement, now: float, team: str) -> str:
    """Apply a repeated announcement: restore a withdrawn submission, queue one that failed on the server.

    Returns:
        What was done, and what became of the words that were sent along.
    """
    words = {**given.metadata.model_dump(mode="json"), "card": given.card}
    other = differences({**earlier.details, "card": earlier.card}, words)
    listed = ", ".join(other)
    done = []
    if earlier.visibility == WITHDRAWN or earlier.state == UPLOADING:
        back = earlier.visibility == WITHDRAWN
        earlier.visibility = PRIVATE
        earlier.details, earlier.card = given.metadata.model_dump(mode="json"), given.card
        if back:
            note_change(session, earlier, RESTORED, team, other)
            done.append("it was withdrawn and is now private")
        if other:
            done.append(f"its description was replaced ({listed})")
    elif other:
        done.append(
            f"its description stays as it was, which differs from what you sent ({listed}); "
            "edit it under My submissions, or PATCH the submission"
        )
    if earlier.host_fault and (earlier.queued_at or 0.0) < now - RETRY_WAIT:
        queue_again(session, Submission.id == earlier.id)
        done.append("it is queued again")
    before = "announced before, and has yet to be uploaded" if earlier.state == UPLOADING else "submitted before"
    return f"this file was {before}: {'; '.join(done) or 'nothing was changed'}"


def _closed(split: Split) -> RefusedError:
    return RefusedError(f"{split.key} is closed to submissions", status=403)


def _forget_overdue(session: Session, team_id: int, now: float) -> None:
    overdue = session.scalars(
        select(Submission.id).where(
            Submission.team_id == team_id, Submission.state == UPLOADING, Submission.created < now - UPLOAD_WAIT
        )
    ).all()
    forget_entries(session, overdue)
    session.execute(delete(Submission).where(Submission.id.in_(overdue)))


def check_awaited(submission: Submission, began: float) -> None:
    """Check that a file whose upload began at `began` is still expected; a repeated upload always is.

    Raises:
        RefusedError: the split has been closed, or the announcement is too old.
    """
    if submission.state != UPLOADING:
        return
    if submission.split.closed:
        raise _closed(submission.split)
    if submission.created < began - UPLOAD_WAIT:
        raise RefusedError("this file was announced over an hour ago; announce it again")


def _check_limits(session: Session, team_id: int, split: Split, settings: Settings, now: float) -> None:
    """Enforce the limits. Counting in the database survives restarts and covers every web process."""
    if split.hidden:
        told = or_(Submission.state != FAILED, exists().where(ScoredResult.submission_id == Submission.id))
        in_all = select(func.count()).where(Submission.team_id == team_id, Submission.split_id == split.id, told)
        if (session.scalar(in_all) or 0) >= settings.phase_limit:
            raise RefusedError(
                f"your team has used its {count_of(settings.phase_limit, 'submission')} to {split.key}, whose "
                "labels are hidden; deleted ones count",
                status=429,
            )
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    rows = session.execute(
        select(Submission.state, func.count())
        .where(Submission.team_id == team_id, Submission.split_id == split.id, Submission.created >= today)
        .group_by(Submission.state)
    )
    counts = {state: number for state, number in rows}  # noqa: C416
    failed = counts.pop(FAILED, 0)
    limit = settings.daily_limit if split.hidden else settings.open_daily_limit
    tomorrow = datetime.fromtimestamp(today + DAY, UTC).strftime("%d %B %Y, 00:00 UTC")
    if sum(counts.values()) >= limit:
        raise RefusedError(
            f"your team has used its {count_of(limit, 'submission')} per day to {split.key}; the next is possible "
            f"from {tomorrow}",
            status=429,
        )
    if failed >= settings.failed_limit:
        raise RefusedError(
            f"{failed} of today's files could not be scored, or were deleted before they were; "
            "check the next one with `earthreason submit --check` "
            f"and submit it from {tomorrow}",
            status=429,
        )


def receive(session: Session, submission: Submission, content: bytes, sha256: str, began: float) -> None:
    """Store the file of an announced submission and queue it. Repeating the upload changes nothing.

    Args:
        session: a writing transaction.
        submission: the announced submission, locked.
        content: the whole file.
        sha256: hash of the content.
        began: start time of the upload.

    Raises:
        RefusedError: the file is not the announced one, or is no longer expected.
    """
    if sha256 != submission.sha256:
        raise RefusedError(
            f"the file's SHA-256 is {sha256}, but {submission.sha256} was announced; upload the announced file"
        )
    check_awaited(submission, began)
    if submission.state != UPLOADING:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(Upload).values(sha256=sha256, content=content).on_conflict_do_nothing())
    now = time.time()
    session.execute(
        update(Submission)
        .where(Submission.id == submission.id, Submission.state == UPLOADING)
        .values(state=QUEUED, uploaded=now, queued_at=now, size=len(content))
    )


def find_submission(session: Session, submission_id: str, caller: Caller | None) -> Submission:
    """Find a submission that the caller may see.

    Raises:
        NotThereError: there is none, or it is another team's and not public.
    """
    submission = session.get(Submission, submission_id)
    if submission is None or not (is_public(submission) or is_owner(submission, caller)):
        raise NotThereError
    return submission


def is_public(submission: Submission) -> bool:
    """Tell whether everyone may see a submission."""
    return submission.visibility == PUBLIC and submission.state == SCORED


def is_owner(submission: Submission, caller: Caller | None) -> bool:
    """Tell whether the caller may change a submission: its team and administrators may, until it is deleted."""
    return (
        caller is not None
        and submission.visibility != DELETED
        and (caller.is_admin or caller.team_id == submission.team_id)
    )


def own_submission(session: Session, submission_id: str, caller: Caller) -> Submission:
    """Find a submission that the caller may change, and lock it.

    Raises:
        NotThereError: there is none, or it is another team's.
    """
    submission = session.scalar(select(Submission).where(Submission.id == submission_id).with_for_update(of=Submission))
    if submission is None or not is_owner(submission, caller):
        raise NotThereError
    return submission


def set_visibility(session: Session, submission: Submission, visibility: str, author: str) -> None:
    """Publish, hide or withdraw a submission.

    Raises:
        RefusedError: an unscored submission cannot be published, and a withdrawn one must be submitted again.
    """
    if visibility == submission.visibility:
        return
    if visibility == PUBLIC and submission.state != SCORED:
        raise RefusedError(f"only a scored submission can be published; this one is {submission.state}")
    if submission.visibility == WITHDRAWN:
        raise RefusedError("this submission is withdrawn; submit the file again to bring it back")
    submission.visibility = visibility
    if visibility == PUBLIC:
        submission.published = submission.published or time.time()
    note_change(session, submission, _ACTIONS[visibility], author)
    count_change(session, submission.id)


def set_flag(session: Session, submission: Submission, reason: str | None, author: str = ORGANISERS) -> None:
    """Flag a submission as doubtful, or remove the flag if `reason` is None.

    Raises:
        RecordError: the reason is empty, too long or not plain text.
    """
    before, submission.flag = submission.flag, check_reason(reason)
    if before != submission.flag:
        note_change(session, submission, FLAGGED, author, {"flag": [before, submission.flag]})
        if submission.flag is not None:
            tell_team(session, submission, FLAGGED_EVENT)
        count_change(session, submission.id)


def latest_result(session: Session, submission: Submission) -> ScoredResult | None:
    """Return the newest result of a submission."""
    return session.scalar(
        select(ScoredResult)
        .where(ScoredResult.submission_id == submission.id)
        .order_by(ScoredResult.generation.desc())
        .limit(1)
    )


def list_of_team(
    session: Session, team_id: int | None, limit: int, offset: int = 0
) -> tuple[Sequence[Submission], int]:
    """List a part of a team's submissions, newest first, and count all; those of all teams if `team_id` is None."""
    chosen = select(Submission).where(Submission.visibility != DELETED)
    chosen = chosen if team_id is None else chosen.where(Submission.team_id == team_id)
    total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    newest = chosen.order_by(Submission.created.desc(), Submission.id)
    return session.scalars(newest.limit(limit).offset(offset)).all(), total


def public_results(session: Session, split: Split) -> Iterator[tuple[Submission, ScoredResult]]:
    """Yield every public submission of a split with its newest result, reading few at a time."""
    rows = session.execute(
        select(Submission, ScoredResult)
        .join(ScoredResult, ScoredResult.submission_id == Submission.id)
        .where(
            Submission.split_id == split.id,
            Submission.visibility == PUBLIC,
            Submission.state == SCORED,
            ScoredResult.generation == Submission.generation,
        )
        .order_by(Submission.id)
        .execution_options(yield_per=20)
    )
    for submission, result in rows:
        yield submission, result
        session.expunge(result)
