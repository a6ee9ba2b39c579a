"""The operator's settings, read from environment variables with one prefix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from earthreason.errors import EarthReasonError, UnknownNameError, describe_validation_error
from earthreason.metrics.statistics import RESAMPLES

from .records import MAX_RESAMPLES, Name

PREFIX = "EARTHREASON_BOARD_"
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
_LARGEST_FILE = 900
"""MiB; a value in SQLite has at most 1,000,000,000 bytes (https://www.sqlite.org/limits.html), in PostgreSQL 1 GiB."""
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]"


def _check_site(value: str) -> str:
    """Check an address that requests and links begin with, and remove a slash at its end."""
    if re.fullmatch(rf"https?://(?:{_HOST})(?::[0-9]{{1,5}})?(?:/[A-Za-z0-9._~/-]*)?", value) is None:
        raise ValueError("is not a web address such as https://board.example")
    return value.rstrip("/")


def _check_host(value: str) -> str:
    if re.fullmatch(_HOST, value) is None:
        raise ValueError("is not the name or address of a machine, such as mail.example.org")
    return value


def _check_origin(value: str) -> str:
    """Check the board's address and write it as browsers do in the Origin of a form."""
    parts = urlsplit(_check_site(value))
    if parts.path:
        raise ValueError(
            f"has the path {parts.path}, but a board needs a host of its own, such as https://board.example"
        )
    port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _check_sender(value: str) -> str:
    try:
        domain = Address(addr_spec=value).domain
    except (ValueError, IndexError, HeaderParseError):  # the second where the domain is missing
        domain = ""
    if not domain:
        raise ValueError("is not an e-mail address such as board@example.org")
    return value


Host = Annotated[str, AfterValidator(_check_host)]
Site = Annotated[str, AfterValidator(_check_site)]
Origin = Annotated[str, AfterValidator(_check_origin)]
Sender = Annotated[str, AfterValidator(_check_sender)]


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
        hash_addresses: whether logs show a keyed hash of each client address instead; its key changes at every start.
        guesses_per_minute: number of wrong tokens per minute after which an address gets no other answer to them.
        drawing_seconds: processor time that an address may use at once for drawing pages that nobody has read, seconds.
        drawing_share: share of a processor that an address may use for this in the long run.
        changes_per_minute: changes of its rows that a team may make per minute, after 30 at once.
        session_hours: duration of a sign-in, hours.
        secure_cookies: whether cookies are sent over https only; set this whenever the board is served over https.
        open_sign_up: whether anyone with an e-mail address or account may create a team, without an invitation.
        smtp_host: mail server, for links by e-mail; None sends none.
        smtp_port: its port.
        smtp_user: name to log in with; None sends without a login.
        smtp_password: password to log in with.
        smtp_security: how the connection is encrypted: from a plain one, from its start, or not at all.
        mail_from: sender of e-mails.
        github_client_id: ID of an OAuth app of GitHub, to offer signing in with it; None does not.
        github_client_secret: its secret.
        github_url: address of GitHub or GitHub Enterprise.
        github_api_url: address of its API.
        huggingface_client_id: ID of an OAuth app of the Hugging Face Hub; None does not offer it.
        huggingface_client_secret: its secret.
        huggingface_url: address of the Hub, or the issuer of any other OpenID provider.
        private_webhooks: whether webhooks may be sent to private addresses and without https.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_variable, populate_by_name=True)

    database_url: str = "sqlite:///leaderboard.sqlite3"
    title: Name = "EarthReason"
    base_url: Origin | None = None
    max_upload_mib: Annotated[int, Field(ge=1, le=_LARGEST_FILE)] = 128
    daily_limit: Positive = 3
    phase_limit: Positive = 30
    open_daily_limit: Positive = 50
    failed_limit: Positive = 20
    time_limit: Annotated[int, Field(ge=1, le=86_400)] = 60
    memory_mib: Positive = 2048
    resamples: Annotated[int, Field(ge=0, le=MAX_RESAMPLES)] = RESAMPLES
    lease_seconds: Seconds = 90.0
    attempts: Positive = 3
    poll_seconds: Seconds = 0.25
    upload_seconds: Seconds = 30.0
    head_seconds: Seconds = 15.0
    min_upload_rate: Positive = 16_384
    guesses_per_minute: Positive = 20
    hash_addresses: bool = False
    drawing_seconds: Seconds = 2.0
    drawing_share: Annotated[float, Field(gt=0, le=1024)] = 0.1
    changes_per_minute: Positive = 6
    session_hours: Annotated[int, Field(ge=1, le=366 * 24)] = 12
    secure_cookies: bool = False
    open_sign_up: bool = False
    smtp_host: Host | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: Sender | None = None
    github_client_id: str | None = None
    github_client_secret: SecretStr | None = None
    github_url: Site = "https://github.com"
    github_api_url: Site = "https://api.github.com"
    huggingface_client_id: str | None = None
    huggingface_client_secret: SecretStr | None = None
    huggingface_url: Site = "https://huggingface.co"
    private_webhooks: bool = False

    @model_validator(mode="after")
    def _lease_outlasts_scoring(self) -> Settings:
        if self.lease_seconds <= self.time_limit:
            raise ValueError(
                f"{_variable('lease_seconds')} must be longer than {_variable('time_limit')}, "
                f"but {self.lease_seconds:g} s is not longer than {self.time_limit} s"
            )
        return self

    @model_validator(mode="after")
    def _links_have_an_address(self) -> Settings:
        """Require what sign-ins need. Links never take their host from a request, which its sender chooses."""
        needs = {
            "smtp_host": ("mail_from", "base_url"),
            "github_client_id": ("github_client_secret", "base_url"),
            "huggingface_client_id": ("huggingface_client_secret", "base_url"),
            "github_client_secret": ("github_client_id",),
            "huggingface_client_secret": ("huggingface_client_id",),
            "smtp_user": ("smtp_password", "smtp_host"),
            "smtp_password": ("smtp_user",),
        }
        for setting, others in needs.items():
            missing = [_variable(other) for other in others if getattr(self, other) is None]
            if getattr(self, setting) is not None and missing:
                raise ValueError(f"{_variable(setting)} needs {' and '.join(missing)}")
        return self

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mib << 20


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        UnknownNameError: a variable with our prefix is unknown.
        EarthReasonError: a variable is empty or has an invalid value.
    """
    values = {name.upper(): value for name, value in environment.items() if name.startswith(PREFIX)}
    if "DATABASE_URL" in environment:
        values.setdefault(_variable("database_url"), environment["DATABASE_URL"])
    known = [_variable(setting) for setting in Settings.model_fields]
    for name in values:
        if name not in known:
            raise UnknownNameError("setting", name, known)
        if not values[name].strip():
            raise EarthReasonError(f"{name} is empty; give it a value, or do not set it")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise EarthReasonError(describe_validation_error(error)) from None
