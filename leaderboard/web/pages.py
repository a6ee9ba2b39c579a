"""The pages that everyone may read. They render what the API returns."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from earthreason.metrics.protocols import PROTOCOLS

from ..board import PAGE_ROWS
from ..changes import key_of_model
from ..listing import fold_name
from ..selection import read_table
from ..splits import get_split, list_splits
from ..submissions import RefusedError, find_submission, is_owner, latest_result
from ..tables import GalleryPicture
from .limits import client_of
from .personal import ShownId, check_id
from .queries import PageNumber, Resolved
from .rendering import LINKS, NOT_KEPT, draw
from .state import Browser, Shared
from .views import SplitChoice, api_view, board_view, compare_view, model_view, published_view

router = APIRouter(default_response_class=HTMLResponse)
HTML = "text/html"


@router.get("/")
async def get_table(request: Request, state: Shared, query: Resolved, page: PageNumber = 1) -> Response:
    def show() -> str:
        with state.database.read() as session:
            get_split(session, query.split)
            selection = state.board.selection(session, query)
            last = max(1, -(-len(selection.rows) // PAGE_ROWS))
            start = (min(page, last) - 1) * PAGE_ROWS
            table = read_table(session, selection, start, start + PAGE_ROWS)
            splits = [SplitChoice(split.key, split.hidden, split.main_protocol) for split in list_splits(session)]
        return draw("board.html", LINKS, state.settings.title, **board_view(table, query, splits))

    return await state.board.respond(request, (query, page), (query.split,), HTML, show)


@router.get("/models/{submission_id}")
async def get_model(request: Request, state: Shared, submission_id: ShownId, caller: Browser) -> Response:
    shows = [submission_id]

    def show() -> str:
        with state.database.read() as session:
            submission = find_submission(session, submission_id, caller)
            result = latest_result(session, submission)
            if result is None:
                raise RefusedError(
                    f"this submission is {submission.state}; its page appears when it is scored", status=404
                )
            values = model_view(session, submission, result, own=is_owner(submission, caller))
            shows.append(key_of_model(submission.team.name, fold_name(values["entry"].model)))
            return draw("model.html", LINKS, state.settings.title, **values)

    if caller is None:
        return await state.board.respond(request, submission_id, shows, HTML, show)
    return HTMLResponse(await state.drawing.run(client_of(request), show), headers=NOT_KEPT)


@router.get("/pictures/{submission_id}/{name}.jpg")
async def get_picture(
    request: Request,
    state: Shared,
    submission_id: ShownId,
    name: str,
    caller: Browser,
) -> Response:
    def read(session: Session) -> bytes:
        submission = find_submission(session, submission_id, caller)
        result = latest_result(session, submission)
        picture = None if result is None or not name.isprintable() else session.get(GalleryPicture, (result.id, name))
        if picture is None or submission.split.hidden:
            raise RefusedError("there is no such picture", status=404)
        return picture.content

    return Response(
        await state.read_for(request, read), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"}
    )


@router.get("/compare")
async def get_comparison(
    request: Request,
    state: Shared,
    ids: Annotated[list[str], Query(max_length=12)] = [],  # noqa: B006
    protocol: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    if not 2 <= len(set(ids)) <= 4:
        raise RefusedError("choose two to four models to compare", status=400)
    chosen = [check_id(one) for one in dict.fromkeys(ids)]
    if protocol and protocol not in PROTOCOLS:
        raise RefusedError(f"there is no protocol {protocol!r}", status=404)

    def show() -> str:
        with state.database.read() as session:
            values = compare_view(session, chosen, protocol, partial(state.board.keep, session))
            return draw("compare.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, (chosen, protocol), chosen, HTML, show)


@router.get("/scoring")
async def get_scoring(request: Request, state: Shared) -> Response:
    def show() -> str:
        values = {"protocols": PROTOCOLS.values(), "settings": state.settings}
        return draw("scoring.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, "", (), HTML, show)


@router.get("/published")
async def get_published(request: Request, state: Shared) -> Response:
    def show() -> str:
        return draw("published.html", LINKS, state.settings.title, **published_view())

    return await state.board.respond(request, "", (), HTML, show)


@router.get("/api")
async def get_api(request: Request, state: Shared) -> Response:
    def show() -> str:
        return draw("api.html", LINKS, state.settings.title, **api_view(request.app.openapi()))

    return await state.board.respond(request, "", (), HTML, show)
