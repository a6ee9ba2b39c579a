"""The page of a team: its members, invitations, tokens and webhooks. A secret is shown once, when it is made."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..links import SECONDS, create_link
from ..members import check_email, list_members, remove_member, set_role
from ..outgoing import may_mail, queue_mail
from ..submissions import RefusedError
from ..tables import INVITATION, Link, Outgoing, Token
from ..tokens import Caller, add_token, check_name, revoke_token, rotate_token, sign_out_everywhere
from ..webhooks import add_webhook, list_webhooks, remove_webhook
from .forms import SIGN_IN, SMALL_FORM, Fault, Number, keeping_fields
from .joining import join_url
from .limits import client_of
from .personal import FormKey, day_of, key_of_forms, personal, signed_in
from .state import COOKIE, Browser, Shared, State

TEAM = "/team"
_MOST_TOKENS, _MOST_INVITATIONS, _SHOWN_MESSAGES = 20, 20, 10


async def _show(request: Request, state: State, caller: Caller, fault: Fault | None = None) -> Response:
    """Render the page of a team; after a fault with what was filled in."""
    assert caller.team_id is not None  # others are led elsewhere
    team_id = caller.team_id

    def read(session: Session) -> dict[str, Any]:
        hooks = list_webhooks(session, team_id)
        sent = select(Outgoing).where(Outgoing.webhook_id.in_([hook.id for hook in hooks]))
        return {
            "members": list_members(session, team_id),
            "invitations": _open_invitations(session, team_id),
            "day": day_of,
            "tokens": _tokens(session, team_id),
            "webhooks": hooks,
            "messages": session.scalars(sent.order_by(Outgoing.created.desc()).limit(_SHOWN_MESSAGES)).all(),
        }

    values = await state.read(read)
    facts = {"caller": caller, "key": key_of_forms(request), "settings": state.settings, "refused": fault}
    return personal(state, "team.html", 200 if fault is None else fault.status, **facts, **values)


def _open_invitations(session: Session, team_id: int) -> list[Link]:
    chosen = (Link.team_id == team_id, Link.kind == INVITATION, Link.used.is_(None), Link.expires > time.time())
    return list(session.scalars(select(Link).where(*chosen).order_by(Link.id)))


def _tokens(session: Session, team_id: int) -> list[Token]:
    """List the tokens of a team that are valid."""
    chosen = select(Token).where(Token.team_id == team_id, Token.revoked.is_(None)).order_by(Token.id)
    return list(session.scalars(chosen))


router = APIRouter(
    default_response_class=HTMLResponse, route_class=keeping_fields(lambda caller: caller.team_id is not None, _show)
)


@router.get(TEAM)
async def get_team(request: Request, state: Shared, caller: Browser) -> Response:
    if caller is None:
        return RedirectResponse(SIGN_IN, status_code=303)
    if caller.team_id is None:
        return RedirectResponse("/admin", status_code=303)
    return await _show(request, state, caller)


def _own_token(session: Session, caller: Caller, number: int) -> Token:
    """Find a token that the caller may revoke: its own, or as an owner any of the team.

    Raises:
        RefusedError: there is none, or the caller may not.
    """
    token = session.get(Token, number)
    if token is None or token.revoked is not None or token.team_id is None or token.team_id != caller.team_id:
        raise RefusedError("there is no such token of your team", status=404)
    if not caller.is_owner and (token.member_id is None or token.member_id != caller.member_id):
        raise RefusedError("only owners of the team may change tokens of others", status=403)
    return token


def _require_owner(caller: Caller, what: str) -> int:
    """Return the team of an owner.

    Raises:
        RefusedError: the caller is none.
    """
    if caller.team_id is None or not caller.is_owner:
        raise RefusedError(f"only owners of a team may {what}", status=403)
    return caller.team_id


@router.post(TEAM + "/invitations", max_body_size=SMALL_FORM)
async def post_invitation(
    request: Request,
    state: Shared,
    caller: Browser,
    key: FormKey,
    role: Annotated[Literal["owner", "member"], Form()] = "member",
    email: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Invite somebody by a link, which is shown once, or sent by e-mail."""
    known = signed_in(request, caller, key)
    team_id = _require_owner(known, "invite others")
    address = check_email(email) if email.strip() else None
    if address is not None and state.settings.smtp_host is None:
        raise RefusedError("this board sends no e-mails; invite without an address and pass the link on", status=422)
    if address is not None:
        client = client_of(request)
        state.mails.check(client, "too many e-mails were asked for from your address; wait some minutes", 1)
        state.mails.use(client, 1)

    def run(session: Session) -> str:
        if len(_open_invitations(session, team_id)) >= _MOST_INVITATIONS:
            raise RefusedError(f"a team has at most {_MOST_INVITATIONS} open invitations; withdraw one first")
        if address is not None and not may_mail(session, address):
            raise RefusedError(
                f"{address} has been sent enough e-mails for now; wait an hour, or invite without an address",
                status=429,
            )
        details = {"role": role, "member": known.member_id, "token": known.token_id}
        secret = create_link(session, INVITATION, team_id=team_id, email=address, details=details)
        if address is not None:
            title, link = state.settings.title, join_url(state.settings, secret)
            text = f"The team {known.team} invites you to the {title} leaderboard:\n\n{link}\n\nIt is valid for a week."
            subject, seconds = f"Invitation to the {title} leaderboard", SECONDS[INVITATION]
            queue_mail(session, address, subject, text, seconds=seconds)
        return secret

    secret = await state.write(run)
    if address is not None:
        return RedirectResponse(TEAM, status_code=303)
    base = state.settings.base_url or str(request.base_url)
    link = join_url(state.settings.model_copy(update={"base_url": base}), secret)
    return personal(state, "told.html", what="Invitation link, valid for a week and once", secret=link, back=TEAM)


@router.post(TEAM + "/invitations/withdraw", max_body_size=SMALL_FORM)
async def post_withdrawal(request: Request, state: Shared, caller: Browser, key: FormKey, number: Number) -> Response:
    known = signed_in(request, caller, key)
    team_id = _require_owner(known, "withdraw invitations")
    gone = delete(Link).where(Link.id == number, Link.team_id == team_id, Link.kind == INVITATION)
    await state.write(lambda session: session.execute(gone))
    return RedirectResponse(TEAM, status_code=303)


@router.post(TEAM + "/members/remove", max_body_size=SMALL_FORM)
async def post_removal(request: Request, state: Shared, caller: Browser, key: FormKey, number: Number) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: remove_member(session, known, number))
    return RedirectResponse(TEAM, status_code=303)


@router.post(TEAM + "/members/role", max_body_size=SMALL_FORM)
async def post_role(
    request: Request,
    state: Shared,
    caller: Browser,
    key: FormKey,
    number: Number,
    role: Annotated[Literal["owner", "member"], Form()],
) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: set_role(session, known, number, role))
    return RedirectResponse(TEAM, status_code=303)


@router.post(TEAM + "/tokens", max_body_size=SMALL_FORM)
async def post_token(
    request: Request, state: Shared, caller: Browser, key: FormKey, label: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Create a token for the caller."""
    known = signed_in(request, caller, key)
    if known.team_id is None:
        raise RefusedError("administrators' tokens are made on the administrators' page", status=403)
    team_id, name = known.team_id, check_name(label, "token") if label.strip() else ""

    def run(session: Session) -> str:
        if len(_tokens(session, team_id)) >= _MOST_TOKENS:
            raise RefusedError(f"a team has at most {_MOST_TOKENS} tokens; revoke one first")
        return add_token(session, team_id, member_id=known.member_id, label=name)[1]

    return _tell_token(state, await state.write(run))


@router.post(TEAM + "/tokens/rotate", max_body_size=SMALL_FORM)
async def post_rotation(request: Request, state: Shared, caller: Browser, key: FormKey, number: Number) -> Response:
    """Replace a token. Whoever signed in with the old one, perhaps the caller, signs in again."""
    known = signed_in(request, caller, key)
    return _tell_token(state, await state.write(lambda one: rotate_token(one, _own_token(one, known, number))[1]))


@router.post(TEAM + "/tokens/revoke", max_body_size=SMALL_FORM)
async def post_revocation(request: Request, state: Shared, caller: Browser, key: FormKey, number: Number) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: revoke_token(session, _own_token(session, known, number).id))
    return RedirectResponse(TEAM, status_code=303)


def _tell_token(state: State, secret: str) -> Response:
    return personal(state, "told.html", what="Token", secret=secret, back=TEAM)


@router.post(TEAM + "/webhooks", max_body_size=SMALL_FORM)
async def post_webhook(
    request: Request, state: Shared, caller: Browser, key: FormKey, url: Annotated[str, Form(max_length=400)]
) -> Response:
    known = signed_in(request, caller, key)
    await state.check_row_changes(known)  # each new webhook is sent a message
    private = state.settings.private_webhooks
    secret = await state.write(lambda session: add_webhook(session, known, url.strip(), private=private).secret)
    return personal(state, "told.html", what="Secret that signs the webhook's messages", secret=secret, back=TEAM)


@router.post(TEAM + "/webhooks/remove", max_body_size=SMALL_FORM)
async def post_webhook_removal(
    request: Request, state: Shared, caller: Browser, key: FormKey, number: Number
) -> Response:
    known = signed_in(request, caller, key)
    await state.write(lambda session: remove_webhook(session, known, number))
    return RedirectResponse(TEAM, status_code=303)


@router.post(TEAM + "/sign-out-everywhere", max_body_size=SMALL_FORM)
async def post_sign_out_everywhere(request: Request, state: Shared, caller: Browser, key: FormKey) -> Response:
    """End all sign-ins of a member, or of a token, also those of other browsers."""
    known = signed_in(request, caller, key)
    await state.write(lambda session: sign_out_everywhere(session, known))
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer
