"""Links that work once: invitations, links sent by e-mail, and sign-ins by OAuth that have begun."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from .submissions import RefusedError
from .tables import INVITATION, Link
from .tokens import hash_secret

E_MAIL, FLOW, IDENTITY = "e-mail", "flow", "identity"
"""Kinds of links beside INVITATION: IDENTITY is for an OAuth account that has yet to name its team."""
SECONDS = {INVITATION: 7 * 86_400, E_MAIL: 1800, FLOW: 600, IDENTITY: 1800}
"""How long each kind is valid."""
_KEPT = 86_400


class LinkError(RefusedError):
    """A link is unknown, used or too old; the three return the same answer."""

    def __init__(self) -> None:
        super().__init__("this link is unknown, has been used, or has expired; ask for a new one", status=410)


def create_link(
    session: Session,
    kind: str,
    *,
    team_id: int | None = None,
    email: str | None = None,
    browser: str | None = None,
    details: dict[str, Any] | None = None,
) -> str:
    """Create a link and return its secret, which is not stored. `browser` is a cookie's secret that must come too."""
    now = time.time()
    session.execute(delete(Link).where(Link.expires < now - _KEPT))
    secret = secrets.token_urlsafe(32)
    session.add(
        Link(
            sha256=hash_secret(secret),
            kind=kind,
            team_id=team_id,
            email=email,
            browser=browser and hash_secret(browser),
            details=details or {},
            created=now,
            expires=now + SECONDS[kind],
        )
    )
    return secret


def find_link(session: Session, secret: str, kinds: Collection[str], browser: str | None = None) -> Link:
    """Find a link that may still be used.

    Raises:
        LinkError: there is none of these kinds, or another browser began the sign-in.
    """
    link = session.scalar(select(Link).where(Link.sha256 == hash_secret(secret)))
    if link is None or link.kind not in kinds or link.used is not None or link.expires < time.time():
        raise LinkError
    if link.browser is not None and (browser is None or link.browser != hash_secret(browser)):
        raise LinkError
    return link


def use_link(session: Session, link: Link) -> None:
    """Use a link up.

    Raises:
        LinkError: another request has just used it.
    """
    used = update(Link).where(Link.id == link.id, Link.used.is_(None)).values(used=time.time()).returning(Link.id)
    if session.execute(used).first() is None:
        raise LinkError
