"""Parts that the pages of a signed-in reader share: who it is, the key of its forms, and what they say of a model."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse

from leaderboard.edits import Description
from leaderboard.records import check_card, parse_metadata
from leaderboard.submissions import NotThereError, RefusedError
from leaderboard.tokens import Caller, form_key
from leaderboard.web.api import ID_PATTERN
from leaderboard.web.forms import check_key
from leaderboard.web.rendering import ServerLinks, draw
from leaderboard.web.state import COOKIE, State

LINKS = ServerLinks()
NOT_KEPT = {"Cache-Control": "no-store"}


def check_id(submission_id: str) -> str:
    """Check a submission ID from a URL.

    Raises:
        NotThereError: no submission can have this ID, so the database need not be queried.
    """
    if not re.fullmatch(ID_PATTERN, submission_id):
        raise NotThereError
    return submission_id


ShownId = Annotated[str, Depends(check_id)]
FormKey = Annotated[str, Form(max_length=100)]


def personal(state: State, template: str, **values: Any) -> HTMLResponse:
    """Render a page for one reader, not to be cached."""
    return HTMLResponse(draw(template, LINKS, state.settings.title, **values), headers=NOT_KEPT)


def key_of_forms(request: Request) -> str:
    """Return the key for the forms on a page."""
    return form_key(request.cookies[COOKIE])


def signed_in(request: Request, caller: Caller | None, key: str) -> Caller:
    """Check that a form belongs to the reader that sent it.

    Raises:
        RefusedError: the key does not match, or the sign-in has expired.
    """
    check_key(request, key)
    if caller is None:
        raise RefusedError("your sign-in has expired; sign in again", status=403)
    return caller


def read_description(
    model: Annotated[str, Form(max_length=200)],
    training: Annotated[str, Form(max_length=20)],
    paper: Annotated[str, Form(max_length=400)] = "",
    code: Annotated[str, Form(max_length=400)] = "",
    checkpoint: Annotated[str, Form(max_length=400)] = "",
    parameters: Annotated[str, Form(max_length=20)] = "",
    backbone: Annotated[str, Form(max_length=200)] = "",
    extra_data: Annotated[str, Form(max_length=200)] = "",
    description: Annotated[str, Form(max_length=2000)] = "",
    contact: Annotated[str, Form(max_length=200)] = "",
    card: Annotated[str, Form(max_length=40_000)] = "",
) -> Description:
    """Read what a form says of a model.

    Raises:
        RecordError: a field is invalid.
        RefusedError: the parameters are no number, or the card is not JSON.
    """
    given = {
        "model": model,
        "training": training,
        "paper": paper or None,
        "code": code or None,
        "checkpoint": checkpoint or None,
        "parameters_millions": _number(parameters),
        "backbone": backbone,
        "extra_data": extra_data,
        "description": description.replace("\r\n", "\n"),
        "contact": contact,
    }
    return Description(parse_metadata(given), check_card(_read_card(card)))


Described = Annotated[Description, Depends(read_description)]


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise RefusedError(f"parameters: {text!r} is not a number of millions", status=422) from None


def _read_card(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("card: not JSON", status=422) from None
