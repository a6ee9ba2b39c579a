"""The pages of a signed-in team. Their forms do what the writing calls of the API do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from earthreason.metrics.scores import GIOU

from ..accepted import DESCRIPTION, ENDINGS
from ..board import PAGE_ROWS
from ..hidden import DECIMALS
from ..records import ALL
from ..splits import get_split, list_splits
from ..submissions import Announcement, RefusedError, announce, list_of_team, own_submission, set_visibility
from ..tables import SCORED, ScoredResult, Submission
from ..tokens import Caller, sign_out
from .edit_pages import show_submission
from .errors import status_of
from .forms import SIGN_IN, SMALL_FORM, FormRoute, check_key
from .joining import set_cookie, sign_in_anew, ways_to_sign_in
from .personal import DescriptionForm, FormKey, ShownId, key_of_forms, personal, signed_in
from .queries import PageNumber
from .state import COOKIE, Browser, Shared, State, check_token
from .uploads import pieces_of, spool, store

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)


class SubmissionForm(DescriptionForm):
    """The fields of the form for a submission."""

    predictions: UploadFile | None = None
    split: str = ""


@router.get(SIGN_IN)
async def get_sign_in(state: Shared) -> Response:
    return personal(state, "sign_in.html", fault="", **ways_to_sign_in(state.settings))


@router.post(SIGN_IN, max_body_size=SMALL_FORM)
async def post_sign_in(request: Request, state: Shared, token: Annotated[str, Form()] = "") -> Response:
    try:
        caller = await check_token(request, state, token.strip())
    except RefusedError as error:  # the token is not sent back
        return personal(state, "sign_in.html", error.status, fault=str(error), **ways_to_sign_in(state.settings))
    hours = state.settings.session_hours
    secret = await state.write(lambda session: sign_in_anew(session, request, caller, hours))
    answer = RedirectResponse("/submit" if caller.team_id else "/mine", status_code=303)
    set_cookie(answer, state, secret)
    return answer


@router.post("/sign-out", max_body_size=SMALL_FORM)
async def post_sign_out(request: Request, state: Shared, key: FormKey) -> Response:
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
    caller = signed_in(request, caller, form.key)
    try:
        submission_id, notice = await _take(state, caller, form)
    except EarthReasonError as error:
        return await _form(request, state, caller, form, error)
    if notice is not None:
        return await show_submission(request, state, caller, submission_id, notice)
    return RedirectResponse(f"/mine#{submission_id}", status_code=303)


async def _take(state: State, caller: Caller, form: SubmissionForm) -> tuple[str, str | None]:
    """Announce and store what was sent; return the ID of the submission, and what sending it again has done.

    Raises:
        EarthReasonError: a field is invalid, or the rules of the board do not allow the submission.
    """
    words = form.read()
    if form.predictions is None or not form.predictions.size:
        raise RefusedError("choose a predictions file to upload", status=400)
    file, sha256, size = await spool(pieces_of(form.predictions.file), state.settings.max_upload_bytes)

    def run(session: Session) -> tuple[str, str | None]:
        announcement = Announcement(sha256, size, words.metadata, words.card)
        announced = announce(session, caller, get_split(session, form.split), announcement, state.settings)
        return announced.submission.id, announced.notice

    submission_id, notice = await state.write(run)
    await store(state, caller, submission_id, file, sha256, time.time())
    return submission_id, notice


async def _form(
    request: Request, state: State, caller: Caller, given: SubmissionForm, error: EarthReasonError | None = None
) -> Response:
    """Render the form with what was filled in, and why it was not taken."""
    splits = [split for split in await state.read(list_splits) if not split.closed]
    return personal(
        state,
        "submit.html",
        200 if error is None else status_of(error),
        caller=caller,
        splits=splits,
        key=key_of_forms(request),
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
    return personal(state, "mine.html", caller=caller, busy=busy, key=key_of_forms(request), page=page, **values)


def _headlines(session: Session, submissions: Sequence[Submission]) -> dict[str, float | None]:
    """Read one score of each scored submission's newest result, without the rest of the result."""
    hidden = {submission.id: submission.split.hidden for submission in submissions if submission.state == SCORED}
    scores: dict[str, float | None] = {}
    for main in {submission.split.main_protocol for submission in submissions}:
        ids = [one.id for one in submissions if one.id in hidden and one.split.main_protocol == main]
        place = ("protocols", main, "scores", ALL, GIOU.name, 0)
        found = (
            select(ScoredResult.submission_id, ScoredResult.record[place].as_float())
            .where(ScoredResult.submission_id.in_(ids))
            .order_by(ScoredResult.generation)
        )
        scores |= {one: round(value, DECIMALS) if hidden[one] else value for one, value in session.execute(found)}
    return scores


@router.post("/mine/{submission_id}", max_body_size=SMALL_FORM)
async def post_mine(
    request: Request,
    state: Shared,
    caller: Browser,
    submission_id: ShownId,
    key: FormKey,
    visibility: Annotated[Literal["public", "private", "withdrawn"], Form()],
    page: PageNumber = 1,
) -> Response:
    caller = signed_in(request, caller, key)
    await state.check_row_changes(caller)

    def run(session: Session) -> None:
        set_visibility(session, own_submission(session, submission_id, caller), visibility, caller.team)

    await state.write(run)
    return RedirectResponse(f"/mine{f'?page={page}' if page > 1 else ''}#{submission_id}", status_code=303)
