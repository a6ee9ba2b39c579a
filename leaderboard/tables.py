"""Database tables. Times are Unix seconds. The database holds everything a worker needs, files included."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from earthreason.metrics.protocols import DEFAULT_PROTOCOL

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names for all constraints, so that migrations can drop them on every database."""

# States of a submission: uploading -> queued -> running -> scored or failed.
UPLOADING, QUEUED, RUNNING, SCORED, FAILED = "uploading", "queued", "running", "scored", "failed"
# Visibility of a submission.
PRIVATE, PUBLIC, WITHDRAWN, DELETED = "private", "public", "withdrawn", "deleted"
INVITATION = "invitation"
"""Kind of a link."""
MOST_NUMBER = (1 << 31) - 1
"""Largest number that a row can have on every database."""


NAME_LENGTH = 255
"""Most characters of a folded name."""
ORDERED = String(NAME_LENGTH).with_variant(String(NAME_LENGTH, collation="C"), "postgresql")
"""Text that every database sorts by code points, so that the public order is the same on each."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class Team(Base):
    """A team that submits."""

    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    created: Mapped[float]


class Member(Base):
    """A person in a team. `email` has been proved by a link; `issuer` and `subject` are those of an OAuth account."""

    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    issuer: Mapped[str | None] = mapped_column(String(200))
    subject: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    created: Mapped[float]
    team: Mapped[Team] = relationship(lazy="joined")


class Link(Base):
    """A link or flow that works once: an invitation, a link sent by e-mail, or an OAuth sign-in that has begun.

    Only its hash is stored. `details` holds what it is for; `browser` is the hash of a cookie that must come with it.
    """

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True)
    email: Mapped[str | None] = mapped_column(String(254), index=True)
    browser: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[float]
    expires: Mapped[float]
    used: Mapped[float | None]
    team: Mapped[Team | None] = relationship(lazy="joined")


class Webhook(Base):
    """An address that is told of a team's events. `secret` signs what is sent, so it is stored as it is."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), index=True)
    url: Mapped[str] = mapped_column(String(300))
    secret: Mapped[str] = mapped_column(String(80))
    created: Mapped[float]


class Outgoing(Base):
    """A message that waits to be sent, or was: an e-mail, or an event for a webhook. `body` is emptied afterwards."""

    __tablename__ = "outgoing"
    __table_args__ = (Index("ix_outgoing_due", "state", "due"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    webhook_id: Mapped[int | None] = mapped_column(ForeignKey("webhooks.id"), index=True)
    address: Mapped[str] = mapped_column(String(300))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[float]
    due: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(String(200))


class Token(Base):
    """A secret that authenticates a team or an administrator; only its hash is stored.

    `member_id` is who made it; a token without one was given by the organisers and may do what an owner may.
    """

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scope: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(80), default="")
    member_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"), index=True)
    created: Mapped[float]
    revoked: Mapped[float | None]
    team: Mapped[Team | None] = relationship(lazy="joined")
    member: Mapped[Member | None] = relationship(lazy="joined")


class SignIn(Base):
    """A signed-in browser, by a token or as a member."""

    __tablename__ = "sign_ins"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"), index=True)
    member_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"), index=True)
    expires: Mapped[float]
    token: Mapped[Token | None] = relationship(lazy="joined")
    member: Mapped[Member | None] = relationship(lazy="joined")


class Split(Base):
    """A split that takes submissions. `truth` is a ground-truth file, `scenes` a zip of thumbnails of an open split.

    `main_protocol` ranks the models.
    """

    __tablename__ = "splits"
    __table_args__ = (UniqueConstraint("config", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    config: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(40))
    hidden: Mapped[bool]
    main_protocol: Mapped[str] = mapped_column(String(40), default=DEFAULT_PROTOCOL)
    closed: Mapped[bool] = mapped_column(default=False)
    truth_sha256: Mapped[str] = mapped_column(String(64))
    questions: Mapped[int]
    empty_targets: Mapped[int]
    created: Mapped[float]
    truth: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    samples: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    scenes: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)

    @property
    def key(self) -> str:
        return f"{self.config}/{self.name}"


class Upload(Base):
    """A predictions file, stored under the SHA-256 of its content."""

    __tablename__ = "uploads"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Submission(Base):
    """A team's file for a split, with its state.

    `generation` counts scoring requests; it increases when the truth changes. `claim` is the worker's secret for the
    current attempt: a worker that has lost its lease cannot write. `host_fault` marks a failure that is the server's.
    `final_at` is when its team declared it final. A deleted one stays as a row without file, words and results.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("team_id", "split_id", "sha256"),
        Index("ix_submissions_work", "state", "lease_until"),
        Index("ix_submissions_board", "split_id", "visibility", "state"),
    )

    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    split_id: Mapped[int] = mapped_column(ForeignKey("splits.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    card: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    visibility: Mapped[str] = mapped_column(String(16), default=PRIVATE)
    flag: Mapped[str | None] = mapped_column(Text)
    created: Mapped[float]
    uploaded: Mapped[float | None]
    queued_at: Mapped[float | None]
    published: Mapped[float | None]
    final_at: Mapped[float | None]
    state: Mapped[str] = mapped_column(String(16), default=UPLOADING)
    generation: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    claim: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    host_fault: Mapped[bool] = mapped_column(default=False)
    team: Mapped[Team] = relationship(lazy="joined")
    split: Mapped[Split] = relationship(lazy="joined")


class ScoredResult(Base):
    """A result of scoring. The unique constraint rules out a second result of one job."""

    __tablename__ = "results"
    __table_args__ = (UniqueConstraint("submission_id", "generation"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    generation: Mapped[int]
    created: Mapped[float]
    seconds: Mapped[float]
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    counts: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    table: Mapped[bytes | None] = mapped_column("per_sample", LargeBinary, deferred=True)
    gallery: Mapped[list[dict[str, Any]]] = mapped_column(JSON, deferred=True)


class GalleryPicture(Base):
    """A JPEG picture of a gallery."""

    __tablename__ = "pictures"

    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Change(Base):
    """An entry in the history of a submission; `details` holds former and new value by field."""

    __tablename__ = "changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), index=True)
    at: Mapped[float]
    author: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(20))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    public: Mapped[bool]
    submission: Mapped[Submission] = relationship(lazy="joined")


class Version(Base):
    """A single row: how often public content has changed, and the form of the listing (see `listing.FORM`)."""

    __tablename__ = "board_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    listing_form: Mapped[int] = mapped_column(default=0)


class BoardChange(Base):
    """The recent changes of public content by their number: of one row, or of everything if `entry_id` is null."""

    __tablename__ = "board_changes"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    split: Mapped[str | None] = mapped_column(String(81))
    entry_id: Mapped[str | None] = mapped_column(String(200))


# The listing repeats the public rows in a form that the database can filter and sort. It is derived from submissions
# and results, and refers to neither, so that a static site can be written from a listing alone.


class ListedTable(Base):
    """The table of a protocol and a subset of the questions of a split."""

    __tablename__ = "listed_tables"
    __table_args__ = (UniqueConstraint("split", "protocol", "subset"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[str] = mapped_column(String(81))
    protocol: Mapped[str] = mapped_column(String(40))
    subset: Mapped[str] = mapped_column(String(200))
    breakdown: Mapped[str] = mapped_column(String(80))
    group: Mapped[str] = mapped_column("group_name", String(120))
    questions: Mapped[int]
    position: Mapped[int]


class ListedColumn(Base):
    """A score in a table."""

    __tablename__ = "listed_columns"
    __table_args__ = (UniqueConstraint("table_id", "metric"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    table_id: Mapped[int] = mapped_column(ForeignKey("listed_tables.id"))
    metric: Mapped[str] = mapped_column(String(40))


class ListedRow(Base):
    """The facts of a public row. `name` and `searched` are folded for sorting and searching.

    `decimals` is the number of decimals to which its scores are rounded; None if they are complete.

    The index of the order has all that most queries need, so that they do not read the rows with their metadata.
    """

    __tablename__ = "listed_rows"
    __table_args__ = (
        Index("ix_listed_rows_day", "split", "day"),
        Index("ix_listed_rows_model", "team", "name"),
        Index("ix_listed_rows_order", "split", "published", "entry_id", "training", "day", "parameters"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[str] = mapped_column(ORDERED, unique=True)
    split: Mapped[str] = mapped_column(String(81))
    team: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(ORDERED)
    searched: Mapped[str] = mapped_column(Text)
    training: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[float | None]
    day: Mapped[str] = mapped_column(String(10))
    published: Mapped[float]
    flag: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    earthreason: Mapped[str] = mapped_column(String(40))
    dataset_sha256: Mapped[str] = mapped_column(String(64))
    predictions_sha256: Mapped[str] = mapped_column(String(64))
    resamples: Mapped[int]
    decimals: Mapped[int | None]
    fingerprint: Mapped[str] = mapped_column(String(32))


class ListedScore(Base):
    """A score of a row with the ends of its interval. SQLite stores a column's scores side by side."""

    __tablename__ = "listed_scores"
    __table_args__ = ({"sqlite_with_rowid": False},)

    column_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]
    low: Mapped[float | None]
    high: Mapped[float | None]


LISTING = (ListedScore, ListedColumn, ListedTable, ListedRow)
"""The tables of the listing, in an order in which none refers to a later one's rows when they are emptied."""
