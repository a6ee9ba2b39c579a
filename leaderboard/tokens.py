"""Teams, their tokens, and browser sign-ins. Only hashes are stored; a token is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError, describe_validation_error

from .board import fold
from .records import Name
from .tables import INVITATION, MOST_NUMBER, Link, Member, SignIn, Team, Token

Scope = Literal["submit", "admin"]
OWNER, MEMBER = "owner", "member"
"""Roles in a team: an owner also invites, removes, and sees to tokens and webhooks."""
TOKEN_PREFIX = "er_"


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a team, or an administrator (`team_id` is None).

    Attributes:
        token_id: number of the token; None if a member signed in without one.
        member_id: number of the member; None for a token that the organisers gave to the team as a whole.
        role: what the caller may do in the team.
    """

    team_id: int | None
    team: str
    scope: str
    token_id: int | None
    member_id: int | None = None
    role: str = OWNER

    @property
    def is_admin(self) -> bool:
        return self.scope == "admin"

    @property
    def is_owner(self) -> bool:
        return self.role == OWNER


def hash_secret(secret: str) -> str:
    """Hash a secret with SHA-256. Tokens have 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_team_name(name: str) -> str:
    """Check a team's name and strip it.

    Raises:
        EarthReasonError: the name is empty, too long or not plain text.
    """
    return check_name(name, "team")


def check_name(name: str, of: str) -> str:
    """Check a name and strip it.

    Args:
        name: the name.
        of: what it is the name of, for the message.

    Raises:
        EarthReasonError: the name is empty, too long or not plain text.
    """
    try:
        return TypeAdapter(Name).validate_python(name.strip())
    except ValidationError as error:
        raise EarthReasonError(describe_validation_error(error, f"name of the {of}")) from None


def find_team(session: Session, name: str) -> Team | None:
    """Find a team by its name; capitals and small letters of any script are the same, as nobody could tell them apart.

    The names are compared here, because SQLite knows only those of ASCII.
    """
    wanted = fold(name)
    teams = session.execute(select(Team.id, Team.name).order_by(Team.id))
    found = next((number for number, known in teams if fold(known) == wanted), None)
    return None if found is None else session.get(Team, found)


def create_token(session: Session, team: str | None, scope: Scope = "submit") -> tuple[int, str]:
    """Create a token, and the team if it is new; return the token's number and the token, which is not stored."""
    owner = None
    if team is not None:
        name = check_team_name(team)
        owner = find_team(session, name)
        if owner is None:
            owner = Team(name=name, created=time.time())
            session.add(owner)
            session.flush()
    return add_token(session, None if owner is None else owner.id, scope)


def add_token(
    session: Session, team_id: int | None, scope: str = "submit", member_id: int | None = None, label: str = ""
) -> tuple[int, str]:
    """Create a token of a team, or of the administrators; return its number and the token, which is not stored."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    facts = {"team_id": team_id, "scope": scope, "member_id": member_id, "label": label}
    token = Token(sha256=hash_secret(secret), created=time.time(), **facts)
    session.add(token)
    session.flush()
    return token.id, secret


def rotate_token(session: Session, token: Token) -> tuple[int, str]:
    """Replace a token by a new one of the same owner; the old one, and the sign-ins made with it, end at once.

    Raises:
        EarthReasonError: another request has just replaced or revoked it.
    """
    ended = update(Token).where(Token.id == token.id, Token.revoked.is_(None)).values(revoked=time.time())
    if session.execute(ended.returning(Token.id)).first() is None:
        raise EarthReasonError("this token has just been replaced or revoked; reload the page")
    revoke_token(session, token.id)
    return add_token(session, token.team_id, token.scope, token.member_id, token.label)


def revoke_token(session: Session, number: int) -> None:
    """Revoke a token, and the sign-ins and invitations made with it.

    Raises:
        EarthReasonError: there is no such token.
    """
    token = session.get(Token, number) if 0 < number <= MOST_NUMBER else None
    if token is None:
        raise EarthReasonError(f"there is no token {number}; run `earthreason-leaderboard token list`")
    token.revoked = token.revoked or time.time()
    session.execute(delete(SignIn).where(SignIn.token_id == number))
    withdraw_invitations(session, token.team_id, token=number)


def withdraw_invitations(session: Session, team_id: int | None, **maker: int) -> None:
    """Withdraw the open invitations to a team that somebody has made, such as `member=3` or `token=5`."""
    chosen = (Link.team_id == team_id, Link.kind == INVITATION, Link.used.is_(None))
    for link in session.scalars(select(Link).where(*chosen)).all():
        if any(link.details.get(kind) == number for kind, number in maker.items()):
            session.delete(link)


def find_caller(session: Session, secret: str) -> Caller | None:
    """Find the owner of a token; return None if it is unknown or revoked.

    The look-up is by hash, so its duration reveals nothing about the token; the comparison is also constant-time.
    """
    digest = hash_secret(secret)
    token = session.scalar(select(Token).where(Token.sha256 == digest))
    if token is None or token.revoked is not None or not hmac.compare_digest(token.sha256, digest):
        return None
    return _caller(token)


def _caller(token: Token) -> Caller:
    team = token.team.name if token.team else "organisers"
    role = OWNER if token.member is None else token.member.role
    return Caller(token.team_id, team, token.scope, token.id, token.member_id, role)


def caller_of(member: Member) -> Caller:
    """Return who a member is when signed in without a token."""
    return Caller(member.team_id, member.team.name, "submit", None, member.id, member.role)


def sign_in(session: Session, caller: Caller, hours: int) -> str:
    """Sign a browser in; return the secret for its cookie."""
    now = time.time()
    session.execute(delete(SignIn).where(SignIn.expires < now))
    secret = secrets.token_urlsafe(32)
    member_id = caller.member_id if caller.token_id is None else None  # the sign-in ends with whatever it was made by
    facts = {"token_id": caller.token_id, "member_id": member_id}
    session.add(SignIn(sha256=hash_secret(secret), expires=now + 3600 * hours, **facts))
    return secret


def find_signed_in(session: Session, secret: str) -> Caller | None:
    """Find who signed in with this cookie; return None if the sign-in is unknown, expired or revoked."""
    stored = session.get(SignIn, hash_secret(secret))
    if stored is None or stored.expires < time.time():
        return None
    if stored.member is not None:
        return caller_of(stored.member)
    return None if stored.token is None or stored.token.revoked is not None else _caller(stored.token)


def sign_out(session: Session, secret: str) -> None:
    """Sign a browser out."""
    session.execute(delete(SignIn).where(SignIn.sha256 == hash_secret(secret)))


def sign_out_everywhere(session: Session, caller: Caller) -> None:
    """End all sign-ins that were made as the caller was."""
    column = SignIn.member_id if caller.token_id is None else SignIn.token_id
    session.execute(delete(SignIn).where(column == (caller.token_id or caller.member_id)))


def form_key(secret: str) -> str:
    """Derive the key that proves a form is ours, from the cookie that other sites cannot read."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()
