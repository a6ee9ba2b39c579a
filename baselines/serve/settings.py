"""Settings of the server, and the requests that it refuses."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.web.guards import LOOPBACK

MOST_QUESTIONS = 16
LONGEST_QUESTION = 500
"""Characters of a question."""


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        checkpoint: name of the weights, for people.
        device: devices that the model runs on, for people.
        scenes: folder of the scenes to offer; None for none.
        hosts: host names that the server answers to, besides addresses in numbers.
        upload_mb: largest upload, in megabytes.
        megapixels: largest picture, or area of a scene, that is asked about at once, in millions of pixels.
        queue: most requests that wait.
        keep_minutes: how long answers are kept.
        kept_bytes: most bytes of answers that are kept on disk; the oldest go first.
        job_seconds: longest time that a request may take, waiting included.
        upload_seconds: time for the body of a request, besides its length divided by `upload_rate`.
        upload_rate: slowest upload, in bytes per second.
        folder: folder for uploads and answers.
    """

    checkpoint: str = ""
    device: str = "cpu"
    scenes: Path | None = None
    hosts: tuple[str, ...] = LOOPBACK
    upload_mb: int = 64
    megapixels: int = 100
    queue: int = 16
    keep_minutes: float = 60.0
    kept_bytes: int = 4 << 30
    job_seconds: float = 600.0
    upload_seconds: float = 20.0
    upload_rate: int = 20_000
    folder: Path = Path(tempfile.gettempdir())

    @property
    def most_pixels(self) -> int:
        """Largest number of pixels that is asked about at once."""
        return self.megapixels * 1_000_000

    def check(self) -> None:
        """Check the settings, before anything is loaded.

        Raises:
            DataNotFoundError: the folder of scenes is missing.
        """
        if self.scenes is not None and not self.scenes.is_dir():
            raise DataNotFoundError(f"--scenes {self.scenes}: there is no such folder")


def host_names(host: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """List the host names of a server that listens on `host`: its own, those of this machine, and the allowed ones."""
    return (*LOOPBACK, host, *([] if host in LOOPBACK else [socket.gethostname(), socket.getfqdn()]), *allowed)


class RefusedError(EarthReasonError):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status.
        retry_seconds: when to ask again; None if that would not help.
    """

    def __init__(self, status: int, message: str, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_seconds = status, retry_seconds
