"""The status of each error, and the error answers that every call of the API may give."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from earthreason.errors import EarthReasonError, UnknownNameError

from ..records import RecordError
from ..submissions import RefusedError


class ErrorBody(BaseModel):
    """What went wrong and what to do about it."""

    error: str


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)
}


def status_of(error: EarthReasonError) -> int:
    """Return the HTTP status to answer with."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, UnknownNameError):
        return 404
    return 422 if isinstance(error, RecordError) else 400
