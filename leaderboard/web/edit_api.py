"""The calls of the JSON API that change a submission afterwards, and those that list its changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy.orm import Session

from ..edits import Description, declare_final, delete_submission, edit
from ..history import MOST, changes_of, public_changes
from ..records import Metadata, Text, check_card
from ..splits import get_split
from ..submissions import (
    NotThereError,
    RefusedError,
    is_owner,
    latest_result,
    own_submission,
    set_flag,
    set_visibility,
)
from ..tables import Change, Submission
from ..tokens import Caller
from .api import JSON_BYTES, Address, SubmissionBody, SubmissionId, describe
from .errors import ERRORS
from .queries import Limit, Offset
from .state import AnyCaller, Shared, SomeCaller

router = APIRouter(prefix="/api", responses=ERRORS)


class EditBody(BaseModel):
    """What to change of a submission; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    visibility: Literal["private", "public", "withdrawn"] | SkipJsonSchema[None] = None
    metadata: Metadata | SkipJsonSchema[None] = Field(default=None, description="Replaces all metadata.")
    card: dict[str, JsonValue] | None = Field(default=None, description="Replaces the card; null removes it.")
    final: Literal[True] | SkipJsonSchema[None] = Field(
        default=None, description="Declares the team's final submission on this split, once and for good."
    )

    @model_validator(mode="after")
    def _something_changes(self) -> EditBody:
        if not self.model_fields_set:
            raise ValueError("give at least one of visibility, metadata, card and final")
        if empty := [
            name
            for name in ("visibility", "metadata", "final")
            if name in self.model_fields_set and getattr(self, name) is None
        ]:
            raise ValueError(f"{empty[0]} is null; leave out what stays as it is")
        return self


class FlagBody(BaseModel):
    """The reason for a flag; null removes the flag."""

    model_config = ConfigDict(extra="forbid")

    reason: Text | None


class ChangeBody(BaseModel):
    """An entry of a history."""

    submission: str
    at: float = Field(description="Unix time, seconds.")
    author: str
    action: str
    details: dict[str, JsonValue] = Field(description="Former and new value by field.")


def describe_change(change: Change) -> ChangeBody:
    """Describe an entry of a history."""
    return ChangeBody(
        submission=change.submission_id,
        at=change.at,
        author=change.author,
        action=change.action,
        details=change.details,
    )


def find_history(session: Session, submission_id: str, caller: Caller | None) -> tuple[Submission, bool]:
    """Find a submission whose history the caller may see, and whether it is the caller's.

    Everyone may see the public entries of a submission that was ever public, also when it is gone.

    Raises:
        NotThereError: there is none, or it is another team's and never was public.
    """
    submission = session.get(Submission, submission_id)
    own = submission is not None and is_owner(submission, caller)
    if submission is None or not (own or submission.published is not None):
        raise NotThereError
    return submission, own


@router.patch(
    "/submissions/{submission_id}",
    summary="Publish, hide, withdraw, edit or finish a submission",
    max_body_size=JSON_BYTES,
)
async def patch_submission(
    state: Shared, caller: SomeCaller, submission_id: SubmissionId, body: EditBody, address: Address
) -> SubmissionBody:
    """Only scored submissions can be published or final. To restore a withdrawn one, submit its file again."""
    given = body.model_fields_set
    card: dict[str, Any] | None = check_card(body.card)
    await state.check_row_changes(caller)

    def run(session: Session) -> SubmissionBody:
        submission = own_submission(session, submission_id, caller)
        if body.metadata is not None or "card" in given:
            metadata = body.metadata or Metadata.model_validate(submission.details)
            words = Description(metadata, card if "card" in given else submission.card)
            edit(session, submission, words, caller.team)
        if body.visibility is not None:
            set_visibility(session, submission, body.visibility, caller.team)
        if body.final:
            declare_final(session, submission, caller.team)
        return describe(submission, latest_result(session, submission), address, own=True)

    return await state.write(run)


@router.delete(
    "/submissions/{submission_id}",
    summary="Delete a submission and its file",
    status_code=204,
    response_class=Response,
)
async def remove_submission(state: Shared, caller: SomeCaller, submission_id: SubmissionId) -> Response:
    """File, scores and metadata are removed for good; it still counts towards the limits."""
    await state.check_row_changes(caller)
    await state.write(
        lambda session: delete_submission(session, own_submission(session, submission_id, caller), caller.team)
    )
    return Response(status_code=204)


@router.put("/submissions/{submission_id}/flag", summary="Flag a submission (administrators)", max_body_size=JSON_BYTES)
async def put_flag(
    state: Shared, caller: SomeCaller, submission_id: SubmissionId, body: FlagBody, address: Address
) -> SubmissionBody:
    """The reason is shown beside the row."""
    if not caller.is_admin:
        raise RefusedError("only administrators may flag submissions", status=403)

    def run(session: Session) -> SubmissionBody:
        submission = own_submission(session, submission_id, caller)
        set_flag(session, submission, body.reason, caller.team)
        return describe(submission, None, address, own=True)

    return await state.write(run)


@router.get("/submissions/{submission_id}/history", summary="List the changes of a submission")
async def get_history(
    request: Request,
    response: Response,
    state: Shared,
    caller: AnyCaller,
    submission_id: SubmissionId,
    limit: Limit = MOST,
    offset: Offset = 0,
) -> list[ChangeBody]:
    """Newest first; `X-Total-Count` tells how many there are. It stays public when the row is withdrawn or deleted."""

    def run(session: Session) -> tuple[Sequence[Change], int]:
        submission, own = find_history(session, submission_id, caller)
        return changes_of(session, submission, own, limit, offset)

    changes, total = await (state.read_for(request, run) if caller is None else state.read(run))
    response.headers["X-Total-Count"] = str(total)
    return [describe_change(change) for change in changes]


@router.get("/history", summary="List the changes of the public rows of a split")
async def get_split_history(
    request: Request,
    response: Response,
    state: Shared,
    split: Annotated[str, Query(max_length=81, description="Split name from `/api/splits`.")] = "",
    limit: Limit = MOST,
    offset: Offset = 0,
) -> list[ChangeBody]:
    """Newest first, including those of rows that are gone; `X-Total-Count` tells how many there are."""
    chosen = split or await state.board.default_split()

    def run(session: Session) -> tuple[Sequence[Change], int]:
        return public_changes(session, get_split(session, chosen), limit, offset)

    changes, total = await state.read_for(request, run)
    response.headers["X-Total-Count"] = str(total)
    return [describe_change(change) for change in changes]
