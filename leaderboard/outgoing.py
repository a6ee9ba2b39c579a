"""Messages that wait to be sent. They are stored together with the change that they tell of.

A message is sent at least once: if the process that sends it dies in between, it is sent again, with the same ID.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from .tables import Outgoing, Submission, Webhook

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"
RETRY_SECONDS = (10, 60, 600, 3600, 6 * 3600, 24 * 3600)
"""Pauses after each attempt that failed; then the message is given up."""
SCORED_EVENT, FAILED_EVENT, FLAGGED_EVENT, TEST_EVENT = (
    "submission.scored",
    "submission.failed",
    "submission.flagged",
    "test",
)
_MAILS_AN_HOUR = 3
_LEASE_SECONDS = 120
_KEPT_SECONDS = 14 * 86_400
_OUTCOME = 200


@dataclass(frozen=True)
class Message:
    """A message that only this process may send at the moment. `secret` signs it; None if it is an e-mail."""

    id: str
    address: str
    body: dict[str, Any]
    attempts: int
    secret: str | None


def queue_mail(
    session: Session, address: str, subject: str, text: str, *, really: bool = True, seconds: float | None = None
) -> None:
    """Queue an e-mail. One that is not really sent costs as much, so that nobody can tell which addresses are known.

    Args:
        session: a writing transaction.
        address: whom it is for.
        subject: its subject.
        text: its text.
        really: whether it is sent.
        seconds: how long it is worth sending, such as the time for which a link in it is valid.
    """
    body = {"subject": subject, "text": text, "until": None if seconds is None else time.time() + seconds}
    _add(session, address, body if really else {}, WAITING if really else SENT)


def may_mail(session: Session, address: str) -> bool:
    """Tell whether an address may be sent another e-mail this hour; those not really sent count, too."""
    since = time.time() - 3600
    recent = select(func.count()).where(
        Outgoing.address == address, Outgoing.webhook_id.is_(None), Outgoing.created > since
    )
    return (session.scalar(recent) or 0) < _MAILS_AN_HOUR


def queue_event(session: Session, webhook: Webhook, event: str, facts: Mapping[str, Any]) -> None:
    """Queue an event for one webhook, in the form of the Standard Webhooks specification."""
    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    _add(session, webhook.url, {"type": event, "timestamp": moment, "data": dict(facts)}, WAITING, webhook.id)


def tell_team(session: Session, submission: Submission, event: str) -> None:
    """Queue an event for all webhooks of a submission's team. It has no scores; the API knows who may see them."""
    hooks = session.scalars(select(Webhook).where(Webhook.team_id == submission.team_id)).all()
    for hook in hooks:
        facts = {"submission": submission.id, "split": submission.split.key, "model": submission.details.get("model")}
        queue_event(session, hook, event, facts)


def is_due(session: Session, *, mail: bool) -> bool:
    """Tell whether an e-mail, or an event, waits to be sent. Asking keeps nobody else from writing."""
    return session.scalar(select(Outgoing.id).where(*_due(mail)).limit(1)) is not None


def _due(mail: bool) -> tuple[ColumnElement[bool], ...]:
    return Outgoing.state == WAITING, Outgoing.due <= time.time(), Outgoing.webhook_id.is_(None) == mail


def claim_message(session: Session, *, mail: bool) -> Message | None:
    """Claim the e-mail, or the event, that has been due longest; return None if none is."""
    now, due = time.time(), _due(mail)
    chosen = session.scalar(
        select(Outgoing.id).where(*due).order_by(Outgoing.due, Outgoing.id).limit(1).with_for_update(skip_locked=True)
    )
    if chosen is None:
        return None
    claimed = (
        update(Outgoing)
        .where(Outgoing.id == chosen, *due)
        .values(due=now + _LEASE_SECONDS, attempts=Outgoing.attempts + 1)
        .returning(Outgoing.id, Outgoing.address, Outgoing.body, Outgoing.attempts, Outgoing.webhook_id)
    )
    row = session.execute(claimed).first()
    if row is None:
        return None
    if now > (row.body.get("until") or math.inf):
        late = update(Outgoing).where(Outgoing.id == row.id)
        session.execute(late.values(state=GIVEN_UP, body={}, outcome="not sent before its link expired"))
        return None
    hook = None if row.webhook_id is None else session.get(Webhook, row.webhook_id)
    return Message(row.id, row.address, row.body, row.attempts, None if hook is None else hook.secret)


def finish_message(session: Session, message: Message, fault: str | None) -> None:
    """Record what became of an attempt; `fault` is None if the message was taken. What is over loses its body."""
    row = session.get(Outgoing, message.id)
    if row is None or row.attempts != message.attempts:  # its webhook was removed, or its lease has ended
        return
    if fault is None or message.attempts > len(RETRY_SECONDS):
        row.state, row.body = SENT if fault is None else GIVEN_UP, {}
    else:
        row.due = time.time() + RETRY_SECONDS[message.attempts - 1]
    row.outcome = fault and fault[:_OUTCOME]
    old = (Outgoing.state != WAITING, Outgoing.created < time.time() - _KEPT_SECONDS)
    session.execute(delete(Outgoing).where(*old))


def _add(session: Session, address: str, body: dict[str, Any], state: str, webhook_id: int | None = None) -> None:
    now = time.time()
    facts = {"address": address, "body": body, "state": state, "webhook_id": webhook_id}
    session.add(Outgoing(id=secrets.token_hex(16), created=now, due=now, attempts=0, **facts))
