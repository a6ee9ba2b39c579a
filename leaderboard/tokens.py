"""Teams, their tokens, and the sign-ins of browsers. Only hashes are kept; a token is shown once."""

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
    """Who asks: a team, or an administrator (`team_id` None)."""

    team_id: int | None
    team: str
    scope: str
    token_id: int

    @property
    def is_admin(self) -> bool:
        return self.scope == "admin"


def hash_secret(secret: str) -> str:
    """SHA-256 in hexadecimal. Tokens have 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_team_name(name: str) -> str:
    """A team's name as it will be shown.

    Raises:
        EarthReasonError: it is empty, too long, or not plain text.
    """
    try:
        return TypeAdapter(Name).validate_python(name.strip())
    except ValidationError:
        raise EarthReasonError(f"team {name!r}: a name has 1 to 80 printable characters") from None


def create_token(session: Session, team: str | None, scope: Scope = "submit") -> tuple[int, str]:
    """Make a token for a team, making the team if it is new; returns its number and the token, which is not kept."""
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
    """Make a token useless, and the sign-ins made with it.

    Raises:
        EarthReasonError: there is no such token.
    """
    token = session.get(Token, number)
    if token is None:
        raise EarthReasonError(f"there is no token {number}; see: python -m leaderboard token list")
    token.revoked = token.revoked or time.time()
    session.execute(delete(SignIn).where(SignIn.token_id == number))


def find_caller(session: Session, secret: str) -> Caller | None:
    """Whose token this is; None where it is nobody's or revoked.

    The look-up is by hash, so how long it takes says nothing about the token; the comparison is constant-time besides.
    """
    digest = hash_secret(secret)
    token = session.scalar(select(Token).where(Token.sha256 == digest))
    if token is None or token.revoked is not None or not hmac.compare_digest(token.sha256, digest):
        return None
    return _caller(token)


def _caller(token: Token) -> Caller:
    return Caller(token.team_id, token.team.name if token.team else "organisers", token.scope, token.id)


def sign_in(session: Session, caller: Caller, hours: int) -> str:
    """Remember a browser; returns the secret for its cookie."""
    now = time.time()
    session.execute(delete(SignIn).where(SignIn.expires < now))
    secret = secrets.token_urlsafe(32)
    session.add(SignIn(sha256=hash_secret(secret), token_id=caller.token_id, expires=now + 3600 * hours))
    return secret


def find_signed_in(session: Session, secret: str) -> Caller | None:
    """Who signed in with this cookie; None where nobody did, or too long ago."""
    found = session.get(SignIn, hash_secret(secret))
    if found is None or found.expires < time.time() or found.token.revoked is not None:
        return None
    return _caller(found.token)


def sign_out(session: Session, secret: str) -> None:
    """Forget a browser."""
    session.execute(delete(SignIn).where(SignIn.sha256 == hash_secret(secret)))


def form_key(secret: str) -> str:
    """What a form brings along to show that it is ours: it follows from the cookie, which other sites cannot read."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()
