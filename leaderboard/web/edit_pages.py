"""The page on which a team changes its submission, and the pages that list changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from leaderboard.edits import declare_final, delete_submission, edit
from leaderboard.history import changes_of, public_changes
from leaderboard.splits import get_split
from leaderboard.submissions import NotThereError, find_submission, is_owner, own_submission
from leaderboard.tables import Change
from leaderboard.tokens import Caller
from leaderboard.web.edit_api import find_history
from leaderboard.web.forms import SIGN_IN, FormRoute
from leaderboard.web.personal import Described, FormKey, ShownId, key_of_forms, personal, signed_in
from leaderboard.web.state import Browser, Shared, State

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)
_FORM = 128 << 10
"""Largest form with a description and a card, in bytes."""


def _entries(changes: list[Change]) -> list[dict[str, Any]]:
    return [
        {
            "submission": change.submission_id,
            "moment": datetime.fromtimestamp(change.at, UTC).strftime("%Y-%m-%d %H:%M"),
            "author": change.author,
            "action": change.action,
            "details": change.details,
        }
        for change in changes
    ]


async def show_submission(
    request: Request, state: State, caller: Caller, submission_id: str, notice: str | None = None
) -> Response:
    """Render a team's page of one submission, with the forms that change it and its history."""

    def read(session: Session) -> dict[str, Any]:
        submission = find_submission(session, submission_id, caller)
        if not is_owner(submission, caller):
            raise NotThereError
        return {"row": submission, "entries": _entries(list(changes_of(session, submission, own=True)))}

    values = await state.read(read)
    return personal(state, "submission.html", caller=caller, key=key_of_forms(request), notice=notice, **values)


@router.get("/mine/{submission_id}")
async def get_submission_page(request: Request, state: Shared, caller: Browser, submission_id: ShownId) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    return await show_submission(request, state, caller, submission_id)


@router.post("/mine/{submission_id}/edit", max_body_size=_FORM)
async def post_edit(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, key: FormKey, words: Described
) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: edit(session, own_submission(session, submission_id, known), words, known.team))
    return RedirectResponse(f"/mine/{submission_id}", status_code=303)


@router.post("/mine/{submission_id}/final", max_body_size=_FORM)
async def post_final(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, key: FormKey
) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: declare_final(session, own_submission(session, submission_id, known), known.team))
    return RedirectResponse(f"/mine/{submission_id}", status_code=303)


@router.post("/mine/{submission_id}/delete", max_body_size=_FORM)
async def post_delete(
    request: Request, state: Shared, caller: Browser, submission_id: ShownId, key: FormKey
) -> Response:
    known = signed_in(request, caller, key)
    await state.write(
        lambda session: delete_submission(session, own_submission(session, submission_id, known), known.team)
    )
    return RedirectResponse("/mine", status_code=303)


@router.get("/history")
async def get_changes(state: Shared, split: Annotated[str, Query(max_length=81)]) -> Response:
    entries = await state.read(lambda session: _entries(list(public_changes(session, get_split(session, split)))))
    return personal(state, "history.html", heading=split, entries=entries, whole_split=True)


@router.get("/models/{submission_id}/history")
async def get_model_changes(state: Shared, caller: Browser, submission_id: ShownId) -> Response:
    def read(session: Session) -> list[dict[str, Any]]:
        submission, own = find_history(session, submission_id, caller)
        return _entries(list(changes_of(session, submission, own)))

    entries = await state.read(read)
    return personal(state, "history.html", heading=submission_id, entries=entries, whole_split=False)
