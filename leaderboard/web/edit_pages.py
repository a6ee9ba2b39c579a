"""The page on which a team changes its submission, and the pages that list changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError

from ..edits import declare_final, delete_submission, edit
from ..history import MOST, changes_of, public_changes
from ..records import RecordError
from ..splits import get_split
from ..submissions import (
    NotThereError,
    RefusedError,
    find_submission,
    is_owner,
    is_public,
    own_submission,
)
from ..tables import Change, ListedRow, Submission
from ..tokens import Caller
from .edit_api import find_history
from .errors import status_of
from .forms import SIGN_IN, SMALL_FORM, FormRoute
from .personal import DescriptionForm, FormKey, ShownId, fill_in, key_of_forms, personal, signed_in
from .queries import PageNumber
from .state import Browser, Shared, State

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)
_FORM = 128 << 10
"""Largest form with a description and a card, in bytes."""
Sure = Annotated[Literal["", "yes"], Form()]
_NOT_SURE = RefusedError("this cannot be undone; tick the box above the button first", status=422)


def _entries(session: Session, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Collect what a list of changes shows; public rows have their names, others only their IDs."""
    ids = {change.submission_id for change in changes}
    public = select(ListedRow.entry_id, ListedRow.details).where(ListedRow.entry_id.in_(ids))
    names = {entry_id: details["model"] for entry_id, details in session.execute(public)}
    return [
        {
            "name": names.get(change.submission_id),
            "submission": change.submission_id,
            "moment": datetime.fromtimestamp(change.at, UTC).strftime("%Y-%m-%d %H:%M"),
            "author": change.author,
            "action": change.action,
            "details": change.details,
        }
        for change in changes
    ]


async def show_submission(
    request: Request,
    state: State,
    caller: Caller,
    submission_id: str,
    notice: str | None = None,
    given: DescriptionForm | None = None,
    fault: EarthReasonError | None = None,
) -> Response:
    """Render a team's page of one submission, with the forms that change it and its history.

    Args:
        request: the request, for the key of the forms.
        state: the shared state.
        caller: the reader.
        submission_id: a submission of the reader.
        notice: what has been done, if there is something to say.
        given: the form as it was filled in; by default it has what is stored.
        fault: why the form was not taken.
    """

    def read(session: Session) -> dict[str, Any]:
        submission = find_submission(session, submission_id, caller)
        if not is_owner(submission, caller):
            raise NotThereError
        return {"row": submission, "entries": _entries(session, changes_of(session, submission, own=True)[0])}

    values = await state.read(read)
    row = values["row"]
    return personal(
        state,
        "submission.html",
        200 if fault is None else status_of(fault),
        caller=caller,
        key=key_of_forms(request),
        notice=notice,
        given=given or fill_in(row.details, row.card),
        fault=None if fault is None else str(fault),
        **values,
    )


@router.get("/mine/{submission_id}")
async def get_submission_page(request: Request, state: Shared, caller: Browser, submission_id: ShownId) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    return await show_submission(request, state, caller, submission_id)


@router.post("/mine/{submission_id}/edit", max_body_size=_FORM)
async def post_edit(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, form: Annotated[DescriptionForm, Form()]
) -> Response:
    """After a fault the form keeps its fields."""
    known = signed_in(request, caller, form.key)
    try:
        words = form.read()
    except RecordError as error:
        return await show_submission(request, state, known, submission_id, given=form, fault=error)
    return await _change(state, known, submission_id, lambda session, row: edit(session, row, words, known.team))


@router.post("/mine/{submission_id}/final", max_body_size=SMALL_FORM)
async def post_final(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, key: FormKey, sure: Sure = ""
) -> Response:
    known = signed_in(request, caller, key)
    if not sure:
        return await show_submission(request, state, known, submission_id, fault=_NOT_SURE)
    return await _change(state, known, submission_id, lambda session, row: declare_final(session, row, known.team))


@router.post("/mine/{submission_id}/delete", max_body_size=SMALL_FORM)
async def post_delete(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, key: FormKey, sure: Sure = ""
) -> Response:
    known = signed_in(request, caller, key)
    if not sure:
        return await show_submission(request, state, known, submission_id, fault=_NOT_SURE)
    await _change(state, known, submission_id, lambda session, row: delete_submission(session, row, known.team))
    return RedirectResponse("/mine", status_code=303)


async def _change(
    state: State, caller: Caller, submission_id: str, change: Callable[[Session, Submission], None]
) -> Response:
    """Change a submission of the caller, and show its page."""
    await state.check_row_changes(caller)
    await state.write(lambda session: change(session, own_submission(session, submission_id, caller)))
    return RedirectResponse(f"/mine/{submission_id}", status_code=303)


@router.get("/history")
async def get_changes(
    request: Request, state: Shared, split: Annotated[str, Query(max_length=81)] = "", page: PageNumber = 1
) -> Response:
    chosen = split or await state.board.default_split()

    def read(session: Session) -> dict[str, Any]:
        changes, total = public_changes(session, get_split(session, chosen), MOST, (page - 1) * MOST)
        return {"entries": _entries(session, changes), "total": total, "heading": chosen}

    values = await state.read_for(request, read)
    return _history(state, page, f"/history?{urlencode({'split': chosen})}&page=", whole_split=True, **values)


@router.get("/models/{submission_id}/history")
async def get_model_changes(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, page: PageNumber = 1
) -> Response:
    def read(session: Session) -> dict[str, Any]:
        submission, own = find_history(session, submission_id, caller)
        changes, total = changes_of(session, submission, own, MOST, (page - 1) * MOST)
        shown = own or is_public(submission)
        heading = submission.details["model"] if shown else submission_id
        return {"entries": _entries(session, changes), "total": total, "heading": heading, "shown": shown}

    values = await (state.read_for(request, read) if caller is None else state.read(read))
    address = f"/models/{submission_id}/history?page="
    return _history(state, page, address, whole_split=False, entry_id=submission_id, **values)


def _history(state: State, page: int, address: str, **values: Any) -> Response:
    pages = max(1, -(-values["total"] // MOST))
    return personal(state, "history.html", page=page, pages=pages, address=address, **values)
