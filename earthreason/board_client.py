"""The leaderboard's client: check a predictions file without labels, upload it, follow its scoring."""

from __future__ import annotations

import hashlib
import http.client
import json
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.rle import empty_rle
from earthreason.metrics.evaluate import Result, evaluate_protocols
from earthreason.metrics.protocols import SEGEARTH_R1
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import PredictionsFile
from earthreason.predictions.stream import mask_files

_LOCAL = ("localhost", "127.0.0.1", "::1")
_FINAL = ("scored", "failed")
_PIECE = 1 << 18
_RETRIES = 8


class ServerError(EarthReasonError):
    """What the leaderboard answered instead of doing what it was asked; `status` is None where it did not answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def blank_references(samples: list[dict[str, Any]], source: str) -> References:
    """The samples of a split as references without a label: by them everything but the score can be checked."""
    return References(
        (
            Reference(
                sample_id=str(sample["sample_id"]),
                segmentation=empty_rle(int(sample["height"]), int(sample["width"])),
                question_count=int(sample["question_count"]),
            )
            for sample in samples
        ),
        source,
    )


def check_predictions(predictions: PredictionsFile, references: References) -> int:
    """Find everything that would keep a file from being scored; returns the number of questions it answers.

    Raises:
        PredictionsError: all faults together.
    """
    result = evaluate_protocols(predictions, references, [SEGEARTH_R1], resamples=0)[0]
    assert isinstance(result, Result)  # the first protocol is scored or an error is raised
    return len(result.counts)


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """The one file to upload: `path` itself, or a zip of a folder of masks, the same bytes for the same masks."""
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{path.name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, read in mask_files(path):
                archive.writestr(zipfile.ZipInfo(name), read())
        yield target


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class BoardClient:
    """Speaks to one leaderboard.

    Attributes:
        server: its address.
        token: the team's; needed for everything but looking.
        pause: seconds between attempts while the server is away, and between questions about a running job.
    """

    server: str
    token: str | None = None
    pause: float = 0.5

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EarthReasonError(f"{self.server}: a leaderboard's address begins with https://")
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise EarthReasonError(f"{self.server}: http:// would send your token readable for all; use https://")
        self.server = self.server.rstrip("/")

    def splits(self) -> list[dict[str, Any]]:
        """The splits that can be submitted to."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/splits")
        return found

    def references(self, split: str) -> References:
        """The samples of a split, without labels.

        Raises:
            UnknownNameError: the board has no such split.
        """
        known = [found["split"] for found in self.splits()]
        if split not in known:
            raise UnknownNameError("split", split, known, f"--config and --split name one of {self.server}")
        return blank_references(self._ask("GET", f"/api/splits/{quote(split)}/samples"), split)

    def announce(
        self, split: str, file: Path, metadata: Mapping[str, Any], card: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Say that a file will come; the same file is always the same submission."""
        body = {
            "split": split,
            "sha256": file_sha256(file),
            "size": file.stat().st_size,
            "metadata": dict(metadata),
            "card": card,
        }
        announced: dict[str, Any] = self._ask("POST", "/api/submissions", json.dumps(body).encode())
        return announced

    def upload(self, submission_id: str, file: Path, progress: Callable[[int], object]) -> dict[str, Any]:
        """Send the file; `progress` is called with the number of bytes that have gone out so far."""
        path = f"/api/submissions/{submission_id}/predictions"

        def send() -> Any:
            with file.open("rb") as opened:
                body = _Counted(opened, progress)
                return self._ask_once("PUT", path, body, {"Content-Length": str(file.stat().st_size)})

        uploaded: dict[str, Any] = self._patiently(send)
        return uploaded

    def status(self, submission_id: str) -> dict[str, Any]:
        """A submission as it is now."""
        found: dict[str, Any] = self._ask("GET", f"/api/submissions/{submission_id}")
        return found

    def follow(self, submission_id: str, timeout: float) -> dict[str, Any]:
        """Wait until the submission is scored or has failed.

        Raises:
            EarthReasonError: neither happened in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            submission = self.status(submission_id)
            if submission["state"] in _FINAL:
                return submission
            if time.monotonic() > deadline:
                raise EarthReasonError(
                    f"still {submission['state']} after {timeout:g} s; run the same command again to go on waiting, or "
                    f"look at {submission['url']}"
                )
            time.sleep(self.pause)

    def publish(self, submission_id: str) -> dict[str, Any]:
        """Show a scored submission to everyone."""
        body = json.dumps({"visibility": "public"}).encode()
        changed: dict[str, Any] = self._ask("PATCH", f"/api/submissions/{submission_id}", body)
        return changed

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        return self._patiently(lambda: self._ask_once(method, path, body, {}))

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Ask again while the server is away; asking twice changes nothing, so this is safe."""
        for attempt in range(_RETRIES):
            try:
                return ask()
            except ServerError as error:
                if error.status not in (None, 502, 503, 504) or attempt == _RETRIES - 1:
                    raise
            time.sleep(self.pause * 2 ** min(attempt, 4))
        raise AssertionError("unreachable")

    def _ask_once(self, method: str, path: str, body: bytes | _Counted | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self.server + path, body, headers, method=method)
        request.add_header(
            "Content-Type", "application/json" if isinstance(body, bytes) else "application/octet-stream"
        )
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ServerError(f"{self.server} answered {error.code}: {_reason(error)}", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.server} does not answer: {reason}") from None
        except ValueError:
            raise ServerError(f"{self.server} answered something that is not JSON; is it a leaderboard?", 200) from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


class _Counted:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], object]) -> None:
        self._file, self._progress, self._sent = file, progress, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(_PIECE if size < 0 else size)
        self._sent += len(piece)
        self._progress(self._sent)
        return piece
