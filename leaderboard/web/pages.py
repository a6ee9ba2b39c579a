"""The pages. They render what the API returns; forms do what its writing calls do."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import anyio
from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from earthreason.metrics.protocols import PROTOCOLS, SEGEARTH_R1
from earthreason.metrics.scores import GIOU
from leaderboard.accepted import DESCRIPTION, ENDINGS
from leaderboard.hidden import DECIMALS
from leaderboard.records import ALL
from leaderboard.splits import get_split, list_splits
from leaderboard.submissions import (
    Announcement,
    NotThereError,
    RefusedError,
    announce,
    find_submission,
    is_owner,
    latest_result,
    list_of_team,
    own_submission,
    set_visibility,
)
from leaderboard.tables import GalleryPicture, Submission
from leaderboard.tokens import sign_in, sign_out
from leaderboard.web.api import Resolved
from leaderboard.web.edit_pages import show_submission
from leaderboard.web.forms import SIGN_IN, SMALL_FORM, FormRoute, check_key
from leaderboard.web.personal import (
    LINKS,
    NOT_KEPT,
    Described,
    FormKey,
    ShownId,
    check_id,
    key_of_forms,
    personal,
    signed_in,
)
from leaderboard.web.rendering import draw
from leaderboard.web.state import COOKIE, Browser, Shared, check_token
from leaderboard.web.uploads import pieces_of, spool, store
from leaderboard.web.views import SplitChoice, api_view, board_view, compare_view, model_view, published_view

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)
HTML = "text/html"


@router.get("/")
async def get_table(request: Request, state: Shared, query: Resolved) -> Response:
    def show() -> str:
        with state.database.read() as session:
            entries = state.board.entries(session, query.split)
            splits = [SplitChoice(split.key, split.hidden) for split in list_splits(session)]
        return draw("board.html", LINKS, state.settings.title, **board_view(entries, query, splits))

    return await state.board.respond(request, query, HTML, show)


@router.get("/models/{submission_id}")
async def get_model(request: Request, state: Shared, submission_id: ShownId, caller: Browser) -> Response:
    def show() -> str:
        with state.database.read() as session:
            submission = find_submission(session, submission_id, caller)
            result = latest_result(session, submission)
            if result is None:
                raise RefusedError(
                    f"this submission is {submission.state}; its page appears when it is scored", status=404
                )
            values = model_view(submission, result, own=is_owner(submission, caller))
            return draw("model.html", LINKS, state.settings.title, **values)

    if caller is None:
        return await state.board.respond(request, submission_id, HTML, show)
    return HTMLResponse(await anyio.to_thread.run_sync(show), headers=NOT_KEPT)


@router.get("/pictures/{submission_id}/{name}.jpg")
async def get_picture(
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
            raise NotThereError
        return picture.content

    return Response(await state.read(read), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


@router.get("/compare")
async def get_comparison(
    request: Request,
    state: Shared,
    ids: Annotated[list[str], Query(max_length=12)] = [],  # noqa: B006
    protocol: Annotated[str, Query(max_length=40)] = "segearth-r1",
) -> Response:
    if not 2 <= len(set(ids)) <= 4:
        raise RefusedError("choose two to four models to compare", status=400)
    chosen = [check_id(one) for one in dict.fromkeys(ids)]
    if protocol not in PROTOCOLS:
        raise RefusedError(f"there is no protocol {protocol!r}", status=404)

    def show() -> str:
        with state.database.read() as session:
            return draw("compare.html", LINKS, state.settings.title, **compare_view(session, chosen, protocol))

    return await state.board.respond(request, (chosen, protocol), HTML, show)


@router.get("/scoring")
async def get_scoring(request: Request, state: Shared) -> Response:
    def show() -> str:
        values = {"protocols": PROTOCOLS.values(), "settings": state.settings}
        return draw("scoring.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, "", HTML, show)


@router.get("/published")
async def get_published(request: Request, state: Shared) -> Response:
    def show() -> str:
        return draw("published.html", LINKS, state.settings.title, **published_view())

    return await state.board.respond(request, "", HTML, show)


@router.get("/api")
async def get_api(request: Request, state: Shared) -> Response:
    def show() -> str:
        return draw("api.html", LINKS, state.settings.title, **api_view(request.app.openapi()))

    return await state.board.respond(request, "", HTML, show)


@router.get(SIGN_IN)
async def get_sign_in(state: Shared) -> Response:
    return personal(state, "sign_in.html")


@router.post(SIGN_IN, max_body_size=SMALL_FORM)
async def post_sign_in(request: Request, state: Shared, token: Annotated[str, Form(max_length=200)]) -> Response:
    caller = await check_token(request, state, token.strip())
    hours = state.settings.session_hours
    secret = await state.write(lambda session: sign_in(session, caller, hours))
    answer = RedirectResponse("/submit" if caller.team_id else "/mine", status_code=303)
    answer.set_cookie(
        COOKIE, secret, max_age=3600 * hours, httponly=True, samesite="strict", secure=state.settings.secure_cookies
    )
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
    splits = [split for split in await state.read(list_splits) if not split.closed]
    values = {"splits": splits, "key": key_of_forms(request), "settings": state.settings}
    values |= {"endings": ",".join(ENDINGS), "accepted": DESCRIPTION}
    return personal(state, "submit.html", caller=caller, **values)


@router.post("/submit")
async def post_submit(
    request: Request,
    state: Shared,
    caller: Browser,
    predictions: UploadFile,
    key: FormKey,
    split: Annotated[str, Form(max_length=81)],
    words: Described,
) -> Response:
    """Take metadata and file in one request; the API takes them in two."""
    caller = signed_in(request, caller, key)
    file, sha256, size = await spool(pieces_of(predictions.file), state.settings.max_upload_bytes)
    if size == 0:
        raise RefusedError("choose a predictions file to upload", status=400)

    def run(session: Session) -> tuple[str, str | None]:
        announcement = Announcement(sha256, size, words.metadata, words.card)
        announced = announce(session, caller, get_split(session, split), announcement, state.settings)
        return announced.submission.id, announced.notice

    submission_id, notice = await state.write(run)
    await store(state, caller, submission_id, file, sha256, time.time())
    if notice is not None:
        return await show_submission(request, state, caller, submission_id, notice)
    return RedirectResponse(f"/mine#{submission_id}", status_code=303)


@router.get("/mine")
async def get_mine(request: Request, state: Shared, caller: Browser) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)

    def read(session: Session) -> list[tuple[Submission, float | None]]:
        rows = list_of_team(session, None if caller.is_admin else caller.team_id)
        return [(row, _headline(session, row)) for row in rows]

    rows = await state.read(read)
    busy = any(row.state in ("queued", "running") for row, _ in rows)
    return personal(state, "mine.html", caller=caller, rows=rows, busy=busy, key=key_of_forms(request))


def _headline(session: Session, submission: Submission) -> float | None:
    result = latest_result(session, submission) if submission.state == "scored" else None
    if result is None:
        return None
    value: float = result.record["protocols"][SEGEARTH_R1.name]["scores"][ALL][GIOU.name][0]
    return round(value, DECIMALS) if submission.split.hidden else value


@router.post("/mine/{submission_id}", max_body_size=SMALL_FORM)
async def post_mine(
    request: Request,
    state: Shared,
    caller: Browser,
    submission_id: ShownId,
    key: FormKey,
    visibility: Annotated[Literal["public", "private", "withdrawn"], Form()],
) -> Response:
    caller = signed_in(request, caller, key)

    def run(session: Session) -> None:
        set_visibility(session, own_submission(session, submission_id, caller), visibility, caller.team)

    await state.write(run)
    return RedirectResponse(f"/mine#{submission_id}", status_code=303)
