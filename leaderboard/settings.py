"""The operator's settings, read from environment variables with one prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earthreason.errors import EarthReasonError, UnknownNameError, describe_validation_error
from earthreason.metrics.statistics import RESAMPLES
from leaderboard.records import MAX_RESAMPLES

PREFIX = "EARTHREASON_BOARD_"
Positive = Annotated[int, Field(ge=1)]


def _variable(setting: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + setting.upper()


class Settings(BaseModel):
    """The board's settings; the environment variable of `daily_limit` is EARTHREASON_BOARD_DAILY_LIMIT.

    Attributes:
        database_url: SQLAlchemy URL; DATABASE_URL is read too. Default: a SQLite file in the current folder.
        title: name of the board on its pages.
        base_url: public URL, for links in answers and for the origin check; None uses that of the request.
        max_upload_mib: size limit of predictions files, MiB.
        daily_limit: submissions allowed per team and day (UTC) to a hidden split.
        phase_limit: submissions allowed per team to a hidden split in all.
        open_daily_limit: submissions allowed per team and day to a split with open labels.
        failed_limit: failed files allowed per team, split and day.
        time_limit: limit of wall time, and of processor time, for scoring a file, seconds.
        memory_mib: memory limit for scoring, MiB beyond what the interpreter uses.
        resamples: number of bootstrap resamples behind the intervals.
        lease_seconds: time after which another worker may take over a job, seconds.
        attempts: number of times a job is tried if its workers die.
        poll_seconds: pause of an idle worker between looking for jobs, seconds.
        upload_seconds: time before an upload must reach `min_upload_rate`, seconds.
        head_seconds: time limit for sending the head of a request, seconds.
        min_upload_rate: lowest rate of an upload, bytes per second.
        guesses_per_minute: number of wrong tokens per minute after which an address gets no other answer to them.
        hash_addresses: whether logs show a keyed hash of each client address instead; its key changes at every start.
        guesses_per_minute: number of wrong tokens after which an address has to wait.
        drawing_seconds: processor time that an address may use at once for drawing pages that nobody has read, seconds.
        drawing_share: share of a processor that an address may use for this in the long run.
        changes_per_minute: changes of its rows that a team may make per minute, after 30 at once.
        session_hours: duration of a sign-in, hours.
        secure_cookies: whether cookies are sent over https only; set this whenever the board is served over https.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_variable, populate_by_name=True)

    database_url: str = "sqlite:///leaderboard.sqlite3"
    title: str = "EarthReason"
    base_url: str | None = None
    max_upload_mib: Positive = 128
    daily_limit: Positive = 3
    phase_limit: Positive = 30
    open_daily_limit: Positive = 50
    failed_limit: Positive = 20
    time_limit: Positive = 60
    memory_mib: Positive = 2048
    resamples: Annotated[int, Field(ge=0, le=MAX_RESAMPLES)] = RESAMPLES
    lease_seconds: Annotated[float, Field(gt=0)] = 90.0
    attempts: Positive = 3
    poll_seconds: Annotated[float, Field(gt=0)] = 0.25
    upload_seconds: Annotated[float, Field(gt=0)] = 30.0
    head_seconds: Annotated[float, Field(gt=0)] = 15.0
    min_upload_rate: Positive = 16_384
    guesses_per_minute: Positive = 20
    hash_addresses: bool = False
    drawing_seconds: Annotated[float, Field(gt=0)] = 2.0
    drawing_share: Annotated[float, Field(gt=0)] = 0.1
    changes_per_minute: Positive = 6
    session_hours: Positive = 12
    secure_cookies: bool = False

    @model_validator(mode="after")
    def _lease_outlasts_scoring(self) -> Settings:
        if self.lease_seconds <= self.time_limit:
            raise ValueError(
                f"{_variable('lease_seconds')} must be longer than {_variable('time_limit')}, "
                f"but {self.lease_seconds:g} s is not longer than {self.time_limit} s"
            )
        return self

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mib << 20


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        UnknownNameError: a variable with our prefix is unknown.
        EarthReasonError: a variable has an invalid value.
    """
    values = {name.upper(): value for name, value in environment.items() if name.startswith(PREFIX)}
    if "DATABASE_URL" in environment:
        values.setdefault(_variable("database_url"), environment["DATABASE_URL"])
    known = [_variable(setting) for setting in Settings.model_fields]
    for name in values:
        if name not in known:
            raise UnknownNameError("setting", name, known)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise EarthReasonError(describe_validation_error(error)) from None
