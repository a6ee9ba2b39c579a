"""The pages of a signed-in team. Their forms do what the writing calls of the API do."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from earthreason.metrics.protocols import SEGEARTH_R1
from earthreason.metrics.scores import GIOU
from leaderboard.accepted import DESCRIPTION, ENDINGS
from leaderboard.board import PAGE_ROWS
from leaderboard.records import ALL, RecordError, check_card, parse_metadata
from leaderboard.splits import get_split, list_splits
from leaderboard.submissions import Announcement, RefusedError, announce, list_of_team, own_submission, set_visibility
from leaderboard.tables import SCORED, ScoredResult, Submission
from leaderboard.tokens import Caller, form_key, sign_in, sign_out
from leaderboard.web.errors import status_of
from leaderboard.web.forms import SIGN_IN, SMALL_FORM, FormRoute, check_key
from leaderboard.web.pages import ShownId
from leaderboard.web.queries import PageNumber
from leaderboard.web.rendering import LINKS, NOT_KEPT, draw
from leaderboard.web.state import COOKIE, Browser, Shared, State, check_token
from leaderboard.web.uploads import pieces_of, spool, store

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)
_HEADLINE = ("protocols", SEGEARTH_R1.name, "scores", ALL, GIOU.name, 0)
"""Where a result holds the score that `/mine` shows."""


class SubmissionForm(BaseModel):
    """The fields of the form as they were filled in. The metadata's own checks come later, so that none are lost."""

    predictions: UploadFile | None = None
    key: str = ""
    split: str = ""
    model: str = ""
    training: str = ""
    paper: str = ""
    code: str = ""
    checkpoint: str = ""
    parameters: str = ""
    backbone: str = ""
    extra_data: str = ""
    description: str = ""
    contact: str = ""
    card: str = ""

    def metadata(self) -> dict[str, Any]:
        """Return the metadata that the fields state.

        Raises:
            RecordError: the number of parameters is not a number.
        """
        return {
            "model": self.model,
            "training": self.training,
            "paper": self.paper or None,
            "code": self.code or None,
            "checkpoint": self.checkpoint or None,
            "parameters_millions": _number(self.parameters),
            "backbone": self.backbone,
            "extra_data": self.extra_data,
            "description": self.description.replace("\r\n", "\n"),
            "contact": self.contact,
        }


@router.get(SIGN_IN)
async def get_sign_in(state: Shared) -> Response:
    return _personal(state, "sign_in.html", fault="")


@router.post(SIGN_IN, max_body_size=SMALL_FORM)
async def post_sign_in(request: Request, state: Shared, token: Annotated[str, Form()] = "") -> Response:
    try:
        caller = await check_token(request, state, token.strip())
    except RefusedError as error:  # the token is not sent back
        return _personal(state, "sign_in.html", error.status, fault=str(error))
    hours = state.settings.session_hours
    secret = await state.write(lambda session: sign_in(session, caller, hours))
    answer = RedirectResponse("/submit" if caller.team_id else "/mine", status_code=303)
    answer.set_cookie(
        COOKIE, secret, max_age=3600 * hours, httponly=True, samesite="strict", secure=state.settings.secure_cookies
    )
    return answer


@router.post("/sign-out", max_body_size=SMALL_FORM)
async def post_sign_out(request: Request, state: Shared, key: Annotated[str, Form(max_length=100)]) -> Response:
    secret = check_key(request, key)
    await state.write(lambda session: sign_out(session, secret))
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/submit")
async def get_submit(request: Request, state: Shared, caller: Browser) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    return await _form(request, state, caller, SubmissionForm())


@router.post("/submit")
async def post_submit(
    request: Request, state: Shared, caller: Browser, form: Annotated[SubmissionForm, Form()]
) -> Response:
    """Take metadata and file in one request; the API takes them in two. After a fault the form keeps its fields."""
    caller = _signed_in(request, caller, form.key)
    try:
        submission_id = await _take(state, caller, form)
    except EarthReasonError as error:
        return await _form(request, state, caller, form, error)
    return RedirectResponse(f"/mine#{submission_id}", status_code=303)


async def _take(state: State, caller: Caller, form: SubmissionForm) -> str:
    """Announce and store what was sent; return the ID of the submission.

    Raises:
        EarthReasonError: a field is invalid, or the rules of the board do not allow the submission.
    """
    metadata, card = parse_metadata(form.metadata()), check_card(_read_card(form.card))
    if form.predictions is None or not form.predictions.size:
        raise RefusedError("choose a predictions file to upload", status=400)
    file, sha256, size = await spool(pieces_of(form.predictions.file), state.settings.max_upload_bytes)

    def run(session: Session) -> str:
        announcement = Announcement(sha256, size, metadata, card)
        return announce(session, caller, get_split(session, form.split), announcement, state.settings)[0].id

    submission_id = await state.write(run)
    await store(state, caller, submission_id, file, sha256, time.time())
    return submission_id


async def _form(
    request: Request, state: State, caller: Caller, given: SubmissionForm, error: EarthReasonError | None = None
) -> Response:
    """Render the form with what was filled in, and why it was not taken."""
    splits = [split for split in await state.read(list_splits) if not split.closed]
    return _personal(
        state,
        "submit.html",
        200 if error is None else status_of(error),
        caller=caller,
        splits=splits,
        key=_form_key(request),
        settings=state.settings,
        endings=",".join(ENDINGS),
        accepted=DESCRIPTION,
        given=given,
        fault="" if error is None else str(error),
    )


@router.get("/mine")
async def get_mine(request: Request, state: Shared, caller: Browser, page: PageNumber = 1) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)

    def read(session: Session) -> dict[str, Any]:
        team_id = None if caller.is_admin else caller.team_id
        rows, total = list_of_team(session, team_id, PAGE_ROWS, (page - 1) * PAGE_ROWS)
        pages = max(1, -(-total // PAGE_ROWS))
        return {"rows": rows, "scores": _headlines(session, rows), "total": total, "pages": pages}

    values = await state.read(read)
    busy = any(row.state in ("queued", "running") for row in values["rows"])
    return _personal(state, "mine.html", caller=caller, busy=busy, key=_form_key(request), page=page, **values)


def _headlines(session: Session, submissions: Sequence[Submission]) -> dict[str, float | None]:
    """Read one score of each scored submission's newest result, without the rest of the result."""
    ids = [submission.id for submission in submissions if submission.state == SCORED]
    found = (
        select(ScoredResult.submission_id, ScoredResult.record[_HEADLINE].as_float())
        .where(ScoredResult.submission_id.in_(ids))
        .order_by(ScoredResult.generation)
    )
    return dict(session.execute(found).all())


@router.post("/mine/{submission_id}", max_body_size=SMALL_FORM)
async def post_mine(
    request: Request,
    state: Shared,
    caller: Browser,
    submission_id: ShownId,
    key: Annotated[str, Form(max_length=100)],
    visibility: Annotated[Literal["public", "private", "withdrawn"], Form()],
    page: PageNumber = 1,
) -> Response:
    caller = _signed_in(request, caller, key)
    await state.check_visibility_changes(caller)

    def run(session: Session) -> None:
        set_visibility(session, own_submission(session, submission_id, caller), visibility)

    await state.write(run)
    return RedirectResponse(f"/mine{f'?page={page}' if page > 1 else ''}#{submission_id}", status_code=303)


def _personal(state: State, template: str, status: int = 200, **values: Any) -> Response:
    """Render a page for one reader, not to be cached."""
    return HTMLResponse(draw(template, LINKS, state.settings.title, **values), status, NOT_KEPT)


def _form_key(request: Request) -> str:
    return form_key(request.cookies[COOKIE])


def _signed_in(request: Request, caller: Caller | None, key: str) -> Caller:
    """Find who sent a form.

    Raises:
        RefusedError: the form is not ours, or the sign-in has just expired.
    """
    check_key(request, key)
    if caller is None:
        raise RefusedError("your sign-in has expired; sign in again", status=403)
    return caller


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise RecordError(f"parameters: {text!r} is not a number of millions") from None


def _read_card(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("card: not JSON") from None
