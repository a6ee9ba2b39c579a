"""The JSON API. It offers everything the pages do; `earthreason submit` uses nothing else."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy.orm import Session

from ..accepted import DESCRIPTION
from ..entries import public_metadata, shown_record
from ..records import Metadata, ResultRecord, Sha256, check_card
from ..splits import NAME_PATTERN, get_split, list_splits
from ..submissions import (
    Announcement,
    NotThereError,
    RefusedError,
    announce,
    check_awaited,
    find_submission,
    is_owner,
    latest_result,
    list_of_team,
)
from ..tables import ScoredResult, Submission
from ..tokens import Caller
from .errors import ERRORS
from .queries import Limit, Offset
from .state import AnyCaller, Shared, SomeCaller
from .uploads import spool, store

_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
_BINARY = {"type": "string", "format": "binary"}
router = APIRouter(prefix="/api", responses=ERRORS)
_LISTED = 200
JSON_BYTES = 256 << 10
"""Limit of a body that is read before its sender is known; most of it is for a card."""

ID_PATTERN = r"^[A-Za-z0-9_-]{22}$"
SubmissionId = Annotated[str, Path(pattern=ID_PATTERN, description="Submission ID.")]
Config = Annotated[str, Path(pattern=NAME_PATTERN)]
SplitName = Annotated[str, Path(pattern=NAME_PATTERN)]


class SplitBody(BaseModel):
    """A split that can be submitted to."""

    split: str
    main_protocol: str = Field(description="Protocol that ranks the models; a file has to suit it.")
    hidden: bool = Field(description="Whether the labels are secret; results by question are then withheld.")
    open: bool = Field(description="Whether the split takes submissions.")
    questions: int
    empty_targets: int
    truth_sha256: str
    daily_limit: int


class SampleBody(BaseModel):
    """The public facts of a sample."""

    sample_id: str
    height: int
    width: int
    question_count: int


class AnnouncementBody(BaseModel):
    """A predictions file that is about to be uploaded."""

    model_config = ConfigDict(extra="forbid")

    split: str = Field(description="Split name from `/api/splits`.", max_length=81)
    sha256: Sha256
    size: int = Field(ge=1, description="Size in bytes.")
    metadata: Metadata
    card: dict[str, JsonValue] | None = None


class SubmissionBody(BaseModel):
    """A submission and its state."""

    id: str
    split: str
    team: str
    state: Literal["uploading", "queued", "running", "scored", "failed"]
    visibility: Literal["private", "public", "withdrawn"]
    flag: str | None
    error: str | None
    created: float
    sha256: str
    metadata: dict[str, JsonValue]
    card: dict[str, JsonValue] | None
    result: ResultRecord | None
    final: bool = Field(description="Whether its team has declared it final on this split.")
    notice: str | None = Field(description="What a repeated announcement has done; null otherwise.")
    url: str
    upload: str | None = Field(description="URL to PUT the file to; null once it has been uploaded.")


def _address(request: Request, state: Shared) -> str:
    return (state.settings.base_url or str(request.base_url)).rstrip("/")


Address = Annotated[str, Depends(_address)]


def describe(
    submission: Submission, result: ScoredResult | None, address: str, own: bool, notice: str | None = None
) -> SubmissionBody:
    """Describe a submission as its owner, or the public, may see it."""
    waiting = submission.state == "uploading"
    return SubmissionBody.model_validate(
        {
            "id": submission.id,
            "split": submission.split.key,
            "team": submission.team.name,
            "state": submission.state,
            "visibility": submission.visibility,
            "flag": submission.flag,
            "error": submission.error,
            "created": submission.created,
            "sha256": submission.sha256,
            "metadata": submission.details if own else public_metadata(submission.details),
            "card": submission.card,
            "result": result and shown_record(submission, result.record),
            "url": f"{address}/models/{submission.id}",
            "final": submission.final_at is not None,
            "notice": notice,
            "upload": f"{address}/api/submissions/{submission.id}/predictions" if waiting else None,
        }
    )


@router.get("/splits", summary="List the splits")
async def get_splits(state: Shared) -> list[SplitBody]:
    """Names, sizes and daily limits."""
    settings = state.settings
    splits = await state.read(list_splits)
    return [
        SplitBody(
            split=split.key,
            main_protocol=split.main_protocol,
            hidden=split.hidden,
            open=not split.closed,
            questions=split.questions,
            empty_targets=split.empty_targets,
            truth_sha256=split.truth_sha256,
            daily_limit=settings.daily_limit if split.hidden else settings.open_daily_limit,
        )
        for split in splits
    ]


@router.get(
    "/splits/{config}/{split}/samples",
    summary="List the samples of a split, without labels",
    response_model=list[SampleBody],
)
async def get_samples(request: Request, state: Shared, config: Config, split: SplitName) -> Response:
    """IDs and sizes, to check a file against before uploading it."""
    samples = await state.read_for(request, lambda session: get_split(session, f"{config}/{split}").samples)
    return Response(samples, media_type="application/json")


@router.post(
    "/submissions",
    summary="Announce a predictions file",
    status_code=201,
    max_body_size=JSON_BYTES,
    responses={200: {"model": SubmissionBody, "description": "The file was submitted before."}},
)
async def post_submission(
    state: Shared, caller: SomeCaller, body: AnnouncementBody, response: Response, address: Address
) -> SubmissionBody:
    """The answer says where to PUT the file. The same file for the same split always gives the same submission."""
    given = Announcement(body.sha256, body.size, body.metadata, check_card(body.card))

    def run(session: Session) -> tuple[SubmissionBody, bool]:
        submission, new, notice = announce(session, caller, get_split(session, body.split), given, state.settings)
        session.flush()
        session.refresh(submission)
        return describe(submission, latest_result(session, submission), address, True, notice), new

    described, new = await state.write(run)
    response.status_code = 201 if new else 200
    return described


@router.put(
    "/submissions/{submission_id}/predictions",
    summary="Upload the predictions file",
    description=f"Send the raw file: {DESCRIPTION}. Uploading it again changes nothing.",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _BINARY}}}},
)
async def put_predictions(
    request: Request, state: Shared, caller: SomeCaller, submission_id: SubmissionId, address: Address
) -> SubmissionBody:
    began = time.time()
    await state.read(lambda session: _require_awaited(session, submission_id, caller, began))
    file, sha256, _ = await spool(request.stream(), state.settings.max_upload_bytes)
    submission = await store(state, caller, submission_id, file, sha256, began)
    return describe(submission, None, address, own=True)


def _require_awaited(session: Session, submission_id: str, caller: Caller, began: float) -> None:
    """Refuse an upload that is not expected before its body is read."""
    submission = find_submission(session, submission_id, caller)
    if not is_owner(submission, caller):
        raise NotThereError
    check_awaited(submission, began)


@router.get("/submissions", summary="List the submissions of the token's team")
async def get_submissions(
    state: Shared,
    caller: SomeCaller,
    address: Address,
    response: Response,
    limit: Limit = _LISTED,
    offset: Offset = 0,
) -> list[SubmissionBody]:
    """Newest first, without results; `X-Total-Count` tells how many there are. Administrators see all teams'."""
    team_id = None if caller.is_admin else caller.team_id
    submissions, total = await state.read(lambda session: list_of_team(session, team_id, limit, offset))
    response.headers["X-Total-Count"] = str(total)
    return [describe(submission, None, address, own=True) for submission in submissions]


@router.get("/submissions/{submission_id}", summary="Get a submission")
async def get_submission(
    request: Request, state: Shared, caller: AnyCaller, submission_id: SubmissionId, address: Address
) -> SubmissionBody:
    """Everyone may get a public submission; only its team may get a private one."""

    def run(session: Session) -> SubmissionBody:
        submission = find_submission(session, submission_id, caller)
        own = is_owner(submission, caller)
        return describe(submission, latest_result(session, submission), address, own)

    return await (state.read_for(request, run) if caller is None else state.read(run))


@router.get(
    "/submissions/{submission_id}/samples.csv",
    summary="Get the results by question (open splits only)",
    response_class=Response,
    responses=_CSV,
)
async def get_sample_table(request: Request, state: Shared, caller: AnyCaller, submission_id: SubmissionId) -> Response:
    """One row per question: IoU, the counts behind it and the facts of its sample."""

    def run(session: Session) -> bytes:
        submission = find_submission(session, submission_id, caller)
        result = latest_result(session, submission)
        if submission.split.hidden:
            raise RefusedError(
                "results by question are withheld because the labels of this split are hidden", status=403
            )
        if result is None or result.table is None:
            raise NotThereError
        return result.table

    table = await (state.read_for(request, run) if caller is None else state.read(run))
    return Response(table, media_type="text/csv")
