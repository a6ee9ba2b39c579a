"""What an operator may set, all of it by environment variables with one prefix."""

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
        database_url: SQLAlchemy address; DATABASE_URL is taken too. Default: a SQLite file in the current folder.
        title: what the pages call the board.
        base_url: the public address, for links in answers and for the origin check; None takes the request's own.
        max_upload_mib: of a predictions file.
        daily_limit: scored submissions of a team to a hidden split a day (UTC).
        open_daily_limit: the same for splits with open labels.
        failed_limit: refused files of a team and split a day.
        time_limit: seconds a file may be scored, and of processor time.
        memory_mib: what scoring may take beyond the interpreter's own memory.
        resamples: of the bootstrap behind the intervals.
        lease_seconds: how long a worker may keep a job; then another may take it.
        attempts: how often a job is tried whose worker died.
        poll_seconds: how often an idle worker looks for work.
        upload_seconds: how long an upload may take before `min_upload_rate` is asked of it.
        head_seconds: how long a client may take to say what it wants.
        min_upload_rate: bytes a second.
        guesses_per_minute: wrong tokens from one address before it has to wait.
        session_hours: of a sign-in on the pages.
        secure_cookies: mark cookies for https only; set it whenever the board is served by https.
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
