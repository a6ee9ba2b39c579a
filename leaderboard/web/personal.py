"""Parts that the pages of a signed-in reader share: who it is, the key of its forms, and what they say of a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from ..board import number_text
from ..edits import Description
from ..records import RecordError, check_card, parse_metadata
from ..submissions import NotThereError, RefusedError
from ..tokens import Caller, form_key
from .api import ID_PATTERN
from .forms import check_key
from .rendering import LINKS, NOT_KEPT, draw, pretty_json
from .state import COOKIE, State


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


def personal(state: State, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page for one reader, not to be cached."""
    return HTMLResponse(draw(template, LINKS, state.settings.title, **values), status, NOT_KEPT)


def day_of(moment: float) -> str:
    """Write the day (UTC) of a moment in Unix seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


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


class DescriptionForm(BaseModel):
    """What a form says of a model, as it was filled in. `read` checks it, so that a fault loses none of the fields."""

    key: str = ""
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

    def read(self) -> Description:
        """Check the fields.

        Raises:
            RecordError: one of them is invalid.
        """
        given = {
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
        return Description(parse_metadata(given), check_card(_read_card(self.card)))


def fill_in(details: Mapping[str, Any], card: dict[str, Any] | None) -> DescriptionForm:
    """Fill in a form with stored words."""
    size = details.get("parameters_millions")
    texts = {field: details.get(field) or "" for field in DescriptionForm.model_fields}
    return DescriptionForm(
        **{**texts, "parameters": "" if size is None else number_text(size), "card": pretty_json(card) if card else ""}
    )


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
