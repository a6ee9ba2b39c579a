"""Health and metrics, for monitoring."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..availability import Cause
from ..tables import QUEUED, RUNNING, ScoredResult, Submission
from .state import Shared

router = APIRouter()
PATH = "/health"
LATE_SECONDS = 300
_TRIED_BYTES = 4 << 20
"""Size of the file that is tried after a disk was full."""


class Health(BaseModel):
    """The state of the board."""

    status: Literal["ok", "late"]
    queued: int
    oldest_seconds: float


class Fault(BaseModel):
    """Why the board cannot take submissions; its pages may still be read."""

    status: Cause
    error: str


def read_queue(session: Session) -> tuple[int, float]:
    """Count the files that wait or are being scored; return also how long the oldest has waited, seconds."""
    number, oldest = session.execute(
        select(func.count(), func.min(Submission.queued_at)).where(Submission.state.in_((QUEUED, RUNNING)))
    ).one()
    return number, 0.0 if oldest is None else max(0.0, time.time() - oldest)


@router.get(PATH, summary="Check the board's health", responses={503: {"model": Fault}})
async def get_health(state: Shared) -> Health:
    """`late` if a file has been queued for five minutes, a sign that no worker runs; 503 if it cannot be written."""
    number, oldest = await state.read(read_queue)
    await state.check_writable(_TRIED_BYTES)
    return Health(status="late" if oldest > LATE_SECONDS else "ok", queued=number, oldest_seconds=round(oldest, 1))


@router.get(
    "/metrics",
    summary="Get metrics in Prometheus's format",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def get_metrics(request: Request, state: Shared) -> Response:
    """Submissions by state, queue length, scoring time. Totals only, nothing about a team."""

    def run(session: Session) -> list[str]:
        states = session.execute(select(Submission.state, func.count()).group_by(Submission.state)).all()
        number, seconds = session.execute(select(func.count(), func.sum(ScoredResult.seconds))).one()
        queued, oldest = read_queue(session)
        return [
            "# TYPE board_submissions gauge",
            *(f'board_submissions{{state="{name}"}} {count}' for name, count in states),
            "# TYPE board_queue_length gauge",
            f"board_queue_length {queued}",
            "# TYPE board_queue_oldest_seconds gauge",
            f"board_queue_oldest_seconds {oldest:.1f}",
            "# TYPE board_scoring_seconds summary",
            f"board_scoring_seconds_count {number}",
            f"board_scoring_seconds_sum {seconds or 0:.0f}",
            "# TYPE board_uptime_seconds gauge",
            f"board_uptime_seconds {time.time() - state.started:.0f}",
        ]

    lines = await state.read_for(request, run)
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
