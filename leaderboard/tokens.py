"""Teams, their tokens, and browser sign-ins. Only hashes are stored; a token is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from leaderboard.records import Name
from leaderboard.tables import SignIn, Team, Token

Scope = Literal["submit", "admin"]
TOKEN_PREFIX = "er_"


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a team, or an administrator (`team_id` is None)."""

    team_id: int | None
    team: str
    scope: str
    token_id: int

    @property
    def is_admin(self) -> bool:
        return self.scope == "admin"


def hash_secret(secret: str) -> str:
    """Hash a secret with SHA-256. Tokens have 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_team_name(name: str) -> str:
    """Check a team's name and strip it.

    Raises:
        EarthReasonError: the name is empty, too long or not plain text.
    """
    try:
        return TypeAdapter(Name).validate_python(name.strip())
    except ValidationError:
        raise EarthReasonError(f"team {name!r}: a name must have 1 to 80 printable characters") from None


def create_token(session: Session, team: str | None, scope: Scope = "submit") -> tuple[int, str]:
    """Create a token, and the team if it is new; return the token's number and the token, which is not stored."""
    owner = None
    if team is not None:
        name = check_team_name(team)
        owner = session.scalar(select(Team).where(Team.name == name))
        if owner is None:
            owner = Team(name=name, created=time.time())
            session.add(owner)
            session.flush()
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(team_id=owner and owner.id, sha256=hash_secret(secret), scope=scope, created=time.time())
    session.add(token)
    session.flush()
    return token.id, secret


def revoke_token(session: Session, number: int) -> None:
    """Revoke a token and the sign-ins made with it.

    Raises:
        EarthReasonError: there is no such token.
    """
    token = session.get(Token, number)
    if token is None:
        raise EarthReasonError(f"there is no token {number}; run `python -m leaderboard token list`")
    token.revoked = token.revoked or time.time()
    session.execute(delete(SignIn).where(SignIn.token_id == number))


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
    return Caller(token.team_id, token.team.name if token.team else "organisers", token.scope, token.id)


def sign_in(session: Session, caller: Caller, hours: int) -> str:
    """Sign a browser in; return the secret for its cookie."""
    now = time.time()
    session.execute(delete(SignIn).where(SignIn.expires < now))
    secret = secrets.token_urlsafe(32)
    session.add(SignIn(sha256=hash_secret(secret), token_id=caller.token_id, expires=now + 3600 * hours))
    return secret


def find_signed_in(session: Session, secret: str) -> Caller | None:
    """Find who signed in with this cookie; return None if the sign-in is unknown, expired or revoked."""
    stored = session.get(SignIn, hash_secret(secret))
    if stored is None or stored.expires < time.time() or stored.token.revoked is not None:
        return None
    return _caller(stored.token)


def sign_out(session: Session, secret: str) -> None:
    """Sign a browser out."""
    session.execute(delete(SignIn).where(SignIn.sha256 == hash_secret(secret)))


def form_key(secret: str) -> str:
    """Derive the key that proves a form is ours, from the cookie that other sites cannot read."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()
