"""The table in the JSON API, and its files. They can be read by scripts of other sites too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import JsonValue
from sqlalchemy.orm import Session

from earthreason.errors import UnknownNameError

from ..board import PAGE_ROWS, BoardQuery, BoardRow, table_values
from ..exports import FORMATS, ExportFormat
from ..published import load_published
from ..records import ALL
from ..selection import Selection, read_table
from ..splits import get_split
from .cache import matches
from .errors import ERRORS
from .limits import client_of
from .queries import Limit, Offset, Resolved
from .state import Shared, State

router = APIRouter(prefix="/api", responses=ERRORS)
DESCRIPTION_PATH = "/openapi.json"
JSON = "application/json"
_ROWS_AT_ONCE = 200


@router.get("/board", summary="Get a part of the board")
async def get_board(
    request: Request, state: Shared, query: Resolved, limit: Limit = PAGE_ROWS, offset: Offset = 0
) -> dict[str, JsonValue]:
    """Public rows and their total number; each score is [value, low, high], as fractions."""

    def draw() -> str:
        with state.database.read() as session:
            selection = _select(state, session, query)
            return json.dumps(table_values(read_table(session, selection, offset, offset + limit), limit))

    key = (query, limit, offset)
    return await state.board.respond(request, key, (query.split,), JSON, draw)  # type: ignore[return-value]


def _add_export(form: ExportFormat) -> None:
    content: dict[int | str, dict[str, Any]] = {200: {"content": {form.media_type: {}}}}

    @router.get(
        f"/board.{form.ending}",
        summary=f"Get the board as {form.title}",
        response_class=Response,
        responses=content,
        name=f"get_board_{form.ending}",
        operation_id=f"get_board_{form.ending}",
    )
    async def get_export(request: Request, state: Shared, query: Resolved) -> Response:
        """All rows that the filters choose, in the same order as the JSON board."""
        return await _export(request, state, query, form)


for _form in FORMATS:
    _add_export(_form)


@router.get("/published", summary="List results reported in papers")
async def get_published(request: Request, state: Shared) -> list[dict[str, JsonValue]]:
    """These results were not recomputed here. Each has its source, protocol and grade of evidence."""

    def draw() -> str:
        return json.dumps([result.model_dump(mode="json") for result in load_published().results])

    return await state.board.respond(request, "", (), JSON, draw)  # type: ignore[return-value]


@router.get(DESCRIPTION_PATH, include_in_schema=False)
async def get_description(request: Request, state: Shared) -> Response:
    return await state.board.respond(request, "", (), JSON, lambda: json.dumps(request.app.openapi()))


async def _export(request: Request, state: State, query: BoardQuery, form: ExportFormat) -> Response:
    version = await state.board.version()
    # With the start of the process: numbers of changes come again after a restore, and forms change with an update.
    known = f"{state.started} {version} {query} {form.ending}"
    digest = hashlib.blake2b(known.encode(), digest_size=12).hexdigest()
    headers = {"ETag": f'W/"{digest}"', "Cache-Control": "no-cache"}
    if matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)

    def choose() -> Selection:
        with state.database.read() as session:
            return _select(state, session, query)

    client = client_of(request)
    selection = await state.drawing.run(client, choose)
    pieces = form.write(query, tuple(selection.columns), _rows(state, selection))
    headers["Content-Disposition"] = f'inline; filename="board.{form.ending}"'
    return StreamingResponse(_stream(state, client, pieces), media_type=form.media_type, headers=headers)


def _select(state: State, session: Session, query: BoardQuery) -> Selection:
    """Select rows for a program, which should learn of a name that is written wrongly.

    Raises:
        UnknownNameError: the split does not exist, or no row of it has the subset.
    """
    get_split(session, query.split)
    selection = state.board.selection(session, query)
    known = [subset.key for subset in selection.subsets]
    if query.subset not in (ALL, *known):
        raise UnknownNameError("subset", query.subset, known or [ALL])
    return selection


def _rows(state: State, selection: Selection) -> Iterator[BoardRow]:
    """Read the rows part by part; between the parts, a slow reader holds no connection to the database."""
    for start in range(0, len(selection.rows), _ROWS_AT_ONCE):
        with state.database.read() as session:
            part = read_table(session, selection, start, start + _ROWS_AT_ONCE).rows
        yield from part


async def _stream(state: State, client: str, pieces: Iterator[str]) -> AsyncIterator[str]:
    while text := await state.drawing.go_on(client, lambda: "".join(islice(pieces, _ROWS_AT_ONCE))):
        yield text
