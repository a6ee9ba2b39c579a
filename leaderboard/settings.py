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
        max_upload_mib: largest predictions file.
        daily_limit: submissions per team and day (UTC) to a hidden split.
        open_daily_limit: submissions per team and day to a split with open labels.
        failed_limit: files that could not be scored, per team, split and day.
        time_limit: seconds of wall time, and of processor time, for scoring a file.
        memory_mib: memory for scoring beyond what the interpreter uses.
        resamples: bootstrap resamples behind the intervals.
        lease_seconds: how long a worker may keep a job; then another may take it.
        attempts: how often a job is tried if its workers die.
        poll_seconds: how often an idle worker looks for work.
        upload_seconds: grace before an upload must reach `min_upload_rate`.
        head_seconds: how long a client may take to send a request's head.
        min_upload_rate: slowest upload, bytes per second.
        guesses_per_minute: wrong tokens per address before it has to wait.
        session_hours: how long a sign-in lasts.
        secure_cookies: send cookies over https only; set this whenever the board is served over https.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_variable, populate_by_name=True)

    database_url: str = "sqlite:///leaderboard.sqlite3"
    title: str = "EarthReason"
    base_url: str | None = None
    max_upload_mib: Positive = 128
    daily_limit: Positive = 3
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
