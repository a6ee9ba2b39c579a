"""Pages on which somebody becomes or proves to be a member: links by e-mail, invitations, accounts of OAuth providers.

No page redirects to an address from a request, links take their host from the settings, and a link works only once and
only by a button: programs that open links in e-mails use none up.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError

from ..links import (
    E_MAIL,
    FLOW,
    IDENTITY,
    SECONDS,
    LinkError,
    create_link,
    find_link,
    use_link,
)
from ..members import Identity, add_member, check_email, create_team, find_member
from ..oauth import Kept, authorize_url, begin, find_provider, finish, offered
from ..outgoing import may_mail, queue_mail
from ..settings import Settings
from ..submissions import RefusedError
from ..tables import INVITATION, Link, Member
from ..tokens import OWNER, Caller, add_token, caller_of, sign_in, sign_out
from .errors import status_of
from .forms import E_MAIL_FORM, JOIN, SIGN_IN, SMALL_FORM, FormRoute
from .limits import client_of
from .personal import personal
from .state import COOKIE, Shared, State, address_of, browser_caller

router = APIRouter(default_response_class=HTMLResponse, route_class=FormRoute)
FLOW_COOKIE = "earthreason_flow"
_JOINING = (INVITATION, E_MAIL, IDENTITY)
_BEGUN = 0.2
"""What beginning with a provider costs of the budget for mails."""
LinkSecret = Annotated[str, Query(max_length=100)]


def ways_to_sign_in(settings: Settings) -> dict[str, Any]:
    """List the ways that the operator has set up, for the templates."""
    return {"by_mail": settings.smtp_host is not None, "providers": offered(settings)}


def set_cookie(answer: Response, state: State, secret: str) -> None:
    """Give a browser the cookie of its sign-in; other sites cannot make it send the cookie, nor scripts read it."""
    seconds, secure = 3600 * state.settings.session_hours, state.settings.secure_cookies
    answer.set_cookie(COOKIE, secret, max_age=seconds, httponly=True, samesite="strict", secure=secure)


def sign_in_anew(session: Session, request: Request, caller: Caller, hours: int) -> str:
    """Sign a browser in with a secret that nobody has chosen, and end what it was signed in as before."""
    sign_out(session, request.cookies.get(COOKIE, ""))
    return sign_in(session, caller, hours)


@router.post(E_MAIL_FORM, max_body_size=SMALL_FORM)
async def post_email(request: Request, state: Shared, email: Annotated[str, Form(max_length=300)] = "") -> Response:
    """Send a link. Page, status and cost are the same whether the address is known or not."""
    settings = state.settings
    if settings.smtp_host is None:
        raise RefusedError("this board sends no e-mails; sign in with a token", status=404)
    try:
        address = check_email(email)
    except RefusedError as error:
        return personal(state, "sign_in.html", error.status, fault=str(error), **ways_to_sign_in(settings))
    state.mails.check(client_of(request), "too many links were asked for from your address; wait some minutes", 1)
    state.mails.use(client_of(request), 1)

    def run(session: Session) -> None:
        known = find_member(session, address) is not None or settings.open_sign_up
        really = known and may_mail(session, address)
        secret = create_link(session, E_MAIL, email=address)
        text = (
            f"Open this link within 30 minutes to sign in to the {settings.title} leaderboard:\n\n"
            f"{join_url(settings, secret)}\n\nIf you did not ask for it, ignore this message."
        )
        queue_mail(
            session,
            address,
            f"Sign in to the {settings.title} leaderboard",
            text,
            really=really,
            seconds=SECONDS[E_MAIL],
        )

    await state.write(run)
    return personal(state, "mailed.html", email=address)


def join_url(settings: Settings, secret: str) -> str:
    """Write the address of a link. The secret is in its query, which the log leaves out."""
    return f"{(settings.base_url or '').rstrip('/')}{JOIN}?link={secret}"


@router.get(JOIN)
async def get_join(request: Request, state: Shared, link: LinkSecret = "") -> Response:
    """Say what the link does, with a button that does it."""
    return await _ask(request, state, link)


@router.post(JOIN, max_body_size=SMALL_FORM)
async def post_join(
    request: Request,
    state: Shared,
    link: Annotated[str, Form(max_length=100)] = "",
    team: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Use a link. Whoever has neither address nor account gets a token, to come back with."""

    def run(session: Session) -> tuple[str, str | None]:
        found = find_link(session, link, _JOINING)
        use_link(session, found)
        identity = Identity(**found.details["identity"]) if found.kind == IDENTITY else None
        member = None if found.kind == INVITATION else find_member(session, found.email, identity)
        token = None
        if member is None:
            member = _join(session, state.settings, found, team, name, identity)
            if found.email is None and identity is None:
                token = add_token(session, member.team_id, member_id=member.id, label=member.name)[1]
        return sign_in_anew(session, request, caller_of(member), state.settings.session_hours), token

    try:
        secret, token = await state.write(run)
    except LinkError:
        _count_guess(request, state)
        raise
    except EarthReasonError as error:
        return await _ask(request, state, link, error, team, name)
    answer: Response = RedirectResponse("/team", status_code=303)
    if token is not None:
        answer = personal(state, "told.html", what="Your token", secret=token, back="/team")
    set_cookie(answer, state, secret)
    return answer


def _join(session: Session, settings: Settings, link: Link, team: str, name: str, identity: Identity | None) -> Member:
    """Add whoever holds a link to the team that it is for, or to a new one.

    Raises:
        LinkError: the address or account needs an invitation, or its invitation has been used meanwhile.
    """
    invitation = _invitation_of(session, link)
    if invitation is None and not settings.open_sign_up:
        raise LinkError
    if invitation is not None and invitation is not link:
        use_link(session, invitation)
    into = None if invitation is None else invitation.team
    role = OWNER if invitation is None or into is None else str(invitation.details["role"])
    return add_member(session, into or create_team(session, team), name, role, link.email, identity)


def _invitation_of(session: Session, link: Link) -> Link | None:
    """Return the invitation behind a link, if there is one."""
    if link.kind == INVITATION:
        return link
    number = link.details.get("invitation")
    return None if number is None else session.get(Link, number)


async def _ask(
    request: Request,
    state: State,
    secret: str,
    error: EarthReasonError | None = None,
    team: str = "",
    name: str = "",
) -> Response:
    def read(session: Session) -> dict[str, Any]:
        link = find_link(session, secret, _JOINING)
        identity = Identity(**link.details["identity"]) if link.kind == IDENTITY else None
        member = None if link.kind == INVITATION else find_member(session, link.email, identity)
        invitation = _invitation_of(session, link)
        told = {"invitation": invitation, "email": link.email, "identity": identity, "member": member}
        return {**told, "given": {"team": team, "name": name or (identity.name if identity else "")}}

    try:
        values = await state.read(read)
    except LinkError:
        _count_guess(request, state)
        raise
    caller = await browser_caller(request, state)
    status, fault = (200, "") if error is None else (status_of(error), str(error))
    ways = ways_to_sign_in(state.settings)
    return personal(state, "join.html", status, link=secret, fault=fault, caller=caller, **values, **ways)


def _count_guess(request: Request, state: State) -> None:
    """Count a wrong link like a wrong token.

    Raises:
        RefusedError: this address has sent too many.
    """
    if state.guesses.too_many(address_of(request)):
        raise RefusedError("too many wrong links from your address; wait a minute", status=429)
    state.guesses.count(address_of(request))


@router.get(SIGN_IN + "/{provider}")
async def get_provider(request: Request, state: Shared, provider: str, link: LinkSecret = "") -> Response:
    """Send the browser to a provider; what comes back has to come from the same browser, and once."""
    state.mails.check(client_of(request), "too many sign-ins were begun from your address; wait some minutes", _BEGUN)
    state.mails.use(client_of(request), _BEGUN)
    chosen = await anyio.to_thread.run_sync(find_provider, state.settings, provider)
    browser, kept = secrets.token_urlsafe(32), begin()

    def run(session: Session) -> str:
        invitation = find_link(session, link, (INVITATION,)).id if link else None
        details = {**asdict(kept), "provider": provider, "invitation": invitation}
        return create_link(session, FLOW, browser=browser, details=details)

    flow = await state.write(run)
    url = authorize_url(chosen, _callback_url(state.settings, provider), flow, kept)
    answer = RedirectResponse(url, status_code=303)
    secure = state.settings.secure_cookies
    # Lax: the way back is a link on another site.
    answer.set_cookie(FLOW_COOKIE, browser, max_age=600, httponly=True, samesite="lax", secure=secure, path=SIGN_IN)
    return answer


@router.get(SIGN_IN + "/{provider}/callback")
async def get_callback(
    request: Request,
    state: Shared,
    provider: str,
    flow: Annotated[str, Query(alias="state", max_length=100)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Sign in whoever comes back from a provider, or let a new account say which team it is."""
    settings = state.settings

    def take(session: Session) -> dict[str, Any]:
        link = find_link(session, flow, (FLOW,), request.cookies.get(FLOW_COOKIE, ""))
        use_link(session, link)
        return dict(link.details)

    kept = await state.write(take)
    if kept.pop("provider") != provider or not code:
        raise RefusedError("nobody was signed in; try again", status=403)
    invitation = kept.pop("invitation")
    chosen = await anyio.to_thread.run_sync(find_provider, settings, provider)
    back = _callback_url(settings, provider)
    identity = await anyio.to_thread.run_sync(finish, chosen, back, code, Kept(**kept))

    def enter(session: Session) -> tuple[str, str | None]:
        member = find_member(session, None, identity)
        if member is not None:
            return "/team", sign_in_anew(session, request, caller_of(member), settings.session_hours)
        if invitation is None and not settings.open_sign_up:
            raise RefusedError(f"{identity.name} is in no team; ask a team or the organisers to invite you", status=403)
        details = {"identity": asdict(identity), "invitation": invitation}
        return f"{JOIN}?link={create_link(session, IDENTITY, details=details)}", None

    target, secret = await state.write(enter)
    # A page, not a redirect: this request was begun by another site, and browsers would keep the new cookie back.
    answer = personal(state, "arrived.html", target=target)
    answer.delete_cookie(FLOW_COOKIE, path=SIGN_IN)
    if secret is not None:
        set_cookie(answer, state, secret)
    return answer


def _callback_url(settings: Settings, provider: str) -> str:
    return f"{(settings.base_url or '').rstrip('/')}{SIGN_IN}/{provider}/callback"
