"""Teams and their members. A person is in one team, so that its limits cannot be multiplied by joining more."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from .submissions import RefusedError
from .tables import Link, Member, SignIn, Team, Token
from .tokens import OWNER, Caller, check_name, check_team_name, find_team, withdraw_invitations

MAX_EMAIL = 254
MOST_MEMBERS = 50
_EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"


@dataclass(frozen=True)
class Identity:
    """An account at an OAuth provider: `subject` never changes, `name` is what it is called at the moment."""

    issuer: str
    subject: str
    name: str


def check_email(email: str) -> str:
    """Check an e-mail address and return the form in which it is compared.

    Raises:
        RefusedError: it is not a plain address.
    """
    email = email.strip()
    if len(email) > MAX_EMAIL or not re.fullmatch(_EMAIL, email):
        raise RefusedError(f"{email[:80]!r} is not an e-mail address", status=422)
    return email.casefold()


def create_team(session: Session, name: str) -> Team:
    """Create a team.

    Raises:
        RefusedError: the name is taken.
        EarthReasonError: the name is empty or not plain text.
    """
    name = check_team_name(name)
    if find_team(session, name) is not None:
        raise RefusedError(f"there is a team called {name!r} already; choose another name, or ask it for an invitation")
    team = Team(name=name, created=time.time())
    session.add(team)
    session.flush()
    return team


def add_member(
    session: Session, team: Team, name: str, role: str, email: str | None = None, identity: Identity | None = None
) -> Member:
    """Add a person to a team.

    Raises:
        RefusedError: the address or account is in a team already, or the team is full.
        EarthReasonError: the name is empty or not plain text.
    """
    found = find_member(session, email, identity)
    if found is not None:
        raise RefusedError(f"you are in the team {found.team.name!r} already; leave it before you join another")
    session.execute(select(Team.id).where(Team.id == team.id).with_for_update())  # two at once
    if len(list_members(session, team.id)) >= MOST_MEMBERS:
        raise RefusedError(f"a team has at most {MOST_MEMBERS} members")
    member = Member(
        team_id=team.id,
        name=check_name(name, "person"),
        email=email,
        issuer=identity and identity.issuer,
        subject=identity and identity.subject,
        role=role,
        created=time.time(),
    )
    session.add(member)
    session.flush()
    return member


def find_member(session: Session, email: str | None, identity: Identity | None = None) -> Member | None:
    """Find a person by a proved e-mail address or an OAuth account."""
    if identity is not None:
        same = (Member.issuer == identity.issuer, Member.subject == identity.subject)
        found = session.scalar(select(Member).where(*same))
        if found is not None:
            return found
    return None if email is None else session.scalar(select(Member).where(Member.email == email))


def list_members(session: Session, team_id: int) -> Sequence[Member]:
    """List the members of a team, oldest first."""
    return session.scalars(select(Member).where(Member.team_id == team_id).order_by(Member.id)).all()


def own_member(session: Session, caller: Caller, member_id: int) -> Member:
    """Find a member of the caller's team.

    Raises:
        RefusedError: there is none.
    """
    member = session.get(Member, member_id)
    if member is None or member.team_id != caller.team_id:
        raise RefusedError("there is no such member of your team", status=404)
    return member


def remove_member(session: Session, caller: Caller, member_id: int) -> None:
    """Remove a member with its tokens, sign-ins, invitations and the links of its address. Everyone may leave.

    Raises:
        RefusedError: the caller may not, or no owner would be left.
    """
    member = own_member(session, caller, member_id)
    if not caller.is_owner and caller.member_id != member_id:
        raise RefusedError("only owners of the team may remove others", status=403)
    session.execute(select(Team.id).where(Team.id == member.team_id).with_for_update())  # two owners at once
    owners = [one for one in list_members(session, member.team_id) if one.role == OWNER]
    if owners == [member]:
        raise RefusedError("the last owner cannot leave; make another member an owner first")
    tokens = select(Token.id).where(Token.member_id == member_id)
    session.execute(delete(SignIn).where((SignIn.member_id == member_id) | SignIn.token_id.in_(tokens)))
    ended = update(Token).where(Token.member_id == member_id)
    session.execute(ended.values(revoked=func.coalesce(Token.revoked, time.time()), member_id=None))
    if member.email is not None:
        session.execute(delete(Link).where(Link.email == member.email, Link.team_id.is_(None)))
    withdraw_invitations(session, member.team_id, member=member_id)
    session.delete(member)


def set_role(session: Session, caller: Caller, member_id: int, role: str) -> None:
    """Make a member an owner, or an owner a member, whose invitations end.

    Raises:
        RefusedError: the caller is not an owner, or no owner would be left.
    """
    member = own_member(session, caller, member_id)
    if not caller.is_owner:
        raise RefusedError("only owners of the team may change roles", status=403)
    session.execute(select(Team.id).where(Team.id == member.team_id).with_for_update())
    owners = [one.id for one in list_members(session, member.team_id) if one.role == OWNER]
    if role != OWNER and owners == [member_id]:
        raise RefusedError("a team needs an owner; make another member an owner first")
    if role != OWNER:
        withdraw_invitations(session, member.team_id, member=member_id)
    member.role = role
