"""The page of the organisers: queue, disk, splits, tokens, invitations, flags. For administrators' tokens only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ..database import Database
from ..links import create_link
from ..outgoing import GIVEN_UP, WAITING
from ..splits import close_split, list_splits
from ..submissions import RefusedError, own_submission, set_flag
from ..tables import INVITATION, Member, Outgoing, Submission, Team, Token
from ..tokens import OWNER, Caller, create_token, revoke_token, rotate_token
from .forms import SIGN_IN, SMALL_FORM, Fault, Number, keeping_fields
from .health import read_queue
from .joining import join_url
from .personal import FormKey, check_id, day_of, key_of_forms, personal, signed_in
from .state import Browser, Shared, State

ADMIN = "/admin"
_MOST_SHOWN = 200


async def _show(request: Request, state: State, caller: Caller, fault: Fault | None = None) -> Response:
    """Render the page of the organisers; after a fault with what was filled in."""

    def read(session: Session) -> dict[str, Any]:
        queued, oldest = read_queue(session)
        members = select(Member.team_id, func.count()).group_by(Member.team_id)
        rows = select(Submission.team_id, func.count()).group_by(Submission.team_id)
        flagged = select(Submission).where(Submission.flag.is_not(None)).order_by(Submission.created.desc())
        given_up = select(Outgoing).where(Outgoing.state == GIVEN_UP).order_by(Outgoing.created.desc())
        valid = select(Token).where(Token.revoked.is_(None)).order_by(Token.id.desc())
        return {
            "queued": queued,
            "oldest": oldest,
            "states": session.execute(select(Submission.state, func.count()).group_by(Submission.state)).all(),
            "waiting": session.scalar(select(func.count()).where(Outgoing.state == WAITING)),
            "given_up": session.scalars(given_up.limit(20)).all(),
            "splits": list_splits(session),
            "tokens": session.scalars(valid.limit(_MOST_SHOWN)).all(),
            "teams": session.scalars(select(Team).order_by(Team.name).limit(_MOST_SHOWN)).all(),
            "members": dict(session.execute(members).all()),
            "rows": dict(session.execute(rows).all()),
            "flagged": session.scalars(flagged.limit(_MOST_SHOWN)).all(),
            "disk": _read_disk(session, state.database),
            "day": day_of,
        }

    values = await state.read(read)
    facts = {"caller": caller, "key": key_of_forms(request), "fault": state.write_fault, "refused": fault}
    return personal(state, "admin.html", 200 if fault is None else fault.status, **facts, **values)


def _read_disk(session: Session, database: Database) -> dict[str, int | None]:
    """Measure the database, and the disk that holds it if it is a file here, in bytes."""
    if database.file is None:
        size = session.scalar(text("SELECT pg_database_size(current_database())")) if not database.is_sqlite else None
        return {"size": size, "free": None, "total": None}
    names = [Path(f"{database.file}{suffix}") for suffix in ("", "-wal")]
    usage = shutil.disk_usage(database.file.parent)
    return {
        "size": sum(path.stat().st_size for path in names if path.exists()),
        "free": usage.free,
        "total": usage.total,
    }


router = APIRouter(
    default_response_class=HTMLResponse, route_class=keeping_fields(lambda caller: caller.is_admin, _show)
)


def require_admin(caller: Caller | None) -> Caller:
    """Return an administrator.

    Raises:
        RefusedError: the caller is none.
    """
    if caller is None or not caller.is_admin:
        raise RefusedError("only administrators may see this page; sign in with an administrator's token", status=403)
    return caller


async def admin_form(request: Request, caller: Browser, key: FormKey) -> Caller:
    """Check that a form comes from an administrator."""
    return require_admin(signed_in(request, caller, key))


Admin = Annotated[Caller, Depends(admin_form)]


@router.get(ADMIN)
async def get_admin(request: Request, state: Shared, caller: Browser) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    return await _show(request, state, require_admin(caller))


@router.post(ADMIN + "/splits", max_body_size=SMALL_FORM)
async def post_split(
    state: Shared,
    caller: Admin,
    split: Annotated[str, Form(max_length=81)],
    takes: Annotated[Literal["open", "closed"], Form()],
) -> Response:
    """Close a split to submissions, or open it again."""
    await state.write(lambda session: close_split(session, split, takes == "closed"))
    return _back("splits")


@router.post(ADMIN + "/tokens", max_body_size=SMALL_FORM)
async def post_token(
    state: Shared,
    caller: Admin,
    team: Annotated[str, Form(max_length=200)] = "",
    scope: Annotated[Literal["submit", "admin"], Form()] = "submit",
) -> Response:
    """Create a token for a team, or for an administrator."""
    name = team.strip()
    if (scope == "admin") == bool(name):  # a name that was forgotten must not hand out the whole board
        raise RefusedError("name a team, or make an administrator's token, which has none", status=422)
    secret = await state.write(lambda session: create_token(session, name or None, scope)[1])
    return personal(state, "told.html", what=f"Token for {name or 'an administrator'}", secret=secret, back=ADMIN)


@router.post(ADMIN + "/tokens/revoke", max_body_size=SMALL_FORM)
async def post_revocation(state: Shared, caller: Admin, number: Number) -> Response:
    await state.write(lambda session: revoke_token(session, number))
    return _back("tokens")


@router.post(ADMIN + "/tokens/rotate", max_body_size=SMALL_FORM)
async def post_rotation(state: Shared, caller: Admin, number: Number) -> Response:
    def run(session: Session) -> str:
        token = session.get(Token, number)
        if token is None or token.revoked is not None:
            raise RefusedError("there is no such valid token", status=404)
        return rotate_token(session, token)[1]

    return personal(state, "told.html", what="Token", secret=await state.write(run), back=ADMIN)


@router.post(ADMIN + "/invitations", max_body_size=SMALL_FORM)
async def post_invitation(
    request: Request, state: Shared, caller: Admin, team_id: Annotated[str, Form(pattern=r"^[0-9]{0,9}$")] = ""
) -> Response:
    """Invite somebody to own a team: an existing one, or one that the link's holder names."""

    def run(session: Session) -> str:
        team = session.get(Team, int(team_id)) if team_id else None
        if team_id and team is None:
            raise RefusedError("there is no such team", status=404)
        details = {"role": OWNER}
        return create_link(session, INVITATION, team_id=None if team is None else team.id, details=details)

    base = state.settings.base_url or str(request.base_url)
    link = join_url(state.settings.model_copy(update={"base_url": base}), await state.write(run))
    return personal(state, "told.html", what="Invitation link, valid for a week and once", secret=link, back=ADMIN)


@router.post(ADMIN + "/flags", max_body_size=SMALL_FORM)
async def post_flag(
    state: Shared,
    caller: Admin,
    submission: Annotated[str, Form(max_length=22)],
    reason: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Flag a row, or remove its flag if there is no reason."""
    chosen = check_id(submission.strip())
    why = reason.strip() or None
    await state.write(lambda session: set_flag(session, own_submission(session, chosen, caller), why, caller.team))
    return _back("flags")


def _back(place: str) -> Response:
    return RedirectResponse(f"{ADMIN}#{place}", status_code=303)
