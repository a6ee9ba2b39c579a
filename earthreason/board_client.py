"""Client of the leaderboard: check a predictions file without labels, upload it, follow its scoring."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

import earthreason
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.rle import empty_rle
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import DEFAULT_PROTOCOL
from earthreason.metrics.references import Reference, References
from earthreason.metrics.result import Result
from earthreason.predictions.members import mask_files
from earthreason.predictions.reader import PredictionsFile

_LOCAL = ("localhost", "127.0.0.1", "::1")
_FINAL = ("scored", "failed")
_PIECE_BYTES = 1 << 18
_ATTEMPTS = 8
_MOST_REDIRECTS = 5
_TIMEOUT_SECONDS, _CONNECT_SECONDS = 120, 15
_ROWS = 500
_ROW_TEXTS = ("id", "model", "team", "published")


class ServerError(EarthReasonError, OSError):
    """The leaderboard refused a request or did not answer.

    Attributes:
        status: HTTP status; None if there was no answer.
        final: whether asking again cannot help, as with a certificate that is not trusted.
    """

    def __init__(self, message: str, status: int | None = None, *, final: bool = False) -> None:
        super().__init__(message)
        self.status, self.final = status, final


def blank_references(samples: list[dict[str, Any]], source: str) -> References:
    """Make references without labels for the samples of a split, to check predictions without scoring them."""

    def blank(sample: dict[str, Any]) -> Reference:
        segmentation = empty_rle(int(sample["height"]), int(sample["width"]))
        return Reference(str(sample["sample_id"]), segmentation, question_count=int(sample["question_count"]))

    return References(map(blank, samples), source)


def check_predictions(
    predictions: PredictionsFile, references: References, main_protocol: str = DEFAULT_PROTOCOL
) -> int:
    """Check that a file can be scored by the main protocol of a split; return the number of questions it scores.

    Raises:
        UnknownNameError: this version does not know the protocol.
        EarthReasonError: the masks are on a grid that the protocol does not accept.
        PredictionsError: the file has faults, which the message lists.
    """
    result = evaluate_protocols(predictions, references, [main_protocol], resamples=0)[0]
    assert isinstance(result, Result)  # the first protocol is scored or an error is raised
    return result.questions


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Provide the one file to upload: `path` itself, or a folder of masks as a zip with reproducible bytes."""
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{path.name}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, read in mask_files(path):
                archive.writestr(zipfile.ZipInfo(name), read())
        yield target


@dataclass
class BoardClient:
    """Client of one leaderboard.

    Attributes:
        server: the leaderboard's URL.
        token: the team's token; public data can be read without it.
        pause: seconds before a request is repeated, and between two requests for the state of a submission.
        reads_only: whether only public data is read. No token is sent then, so the URL may be http anywhere.

    Raises:
        EarthReasonError: the URL is neither https nor http on this machine, or the token cannot be one.
    """

    server: str
    token: str | None = None
    pause: float = 0.5
    reads_only: bool = False
    _http: httpx.Client = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.server = _check_server(self.server, reads_only=self.reads_only)
        if self.token is not None:
            check_token(self.token)
        # `_follow_redirects` follows redirects, so that the token does not leave the server's origin.
        limits = httpx.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS)
        self._http = httpx.Client(follow_redirects=False, timeout=limits)

    def splits(self) -> list[dict[str, Any]]:
        """List the splits that take submissions."""
        return list(self._ask("GET", "/api/splits"))

    def main_protocol(self, split: str) -> str:
        """Return the protocol by which a split ranks models.

        Raises:
            UnknownNameError: the leaderboard does not have the split.
        """
        known = {entry["split"]: entry for entry in self.splits()}
        if split not in known:
            raise UnknownNameError(
                "split", split, known, f"--config and --split must select one of the splits of {self.server}"
            )
        return str(known[split].get("main_protocol", DEFAULT_PROTOCOL))  # older servers have one protocol

    def references(self, split: str) -> References:
        """Fetch the samples of a split without labels."""
        return blank_references(self._ask("GET", f"/api/splits/{quote(split)}/samples"), split)

    def rows(self, **query: str | float | bool) -> Iterator[dict[str, Any]]:
        """Yield the public rows that a query chooses, in its order; scores are `[value, low, high]`, as fractions.

        Args:
            **query: parameters of `/api/board`, such as `split`, `protocol`, `sort`, `search` or `training`.
        """
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.items()}
        seen: set[str] = set()
        offset = 0
        while True:
            part = self._ask("GET", f"/api/board?{urlencode({**texts, 'limit': _ROWS, 'offset': offset})}")
            rows, total = self._check_part(part)
            moved = rows[0]["id"] not in seen if rows else offset >= total
            if offset and moved:  # rows have left, and those behind them moved up
                offset = max(0, offset - _ROWS)
                continue
            for row in rows:
                if row["id"] not in seen:  # a row may move down while the parts are fetched
                    seen.add(row["id"])
                    yield dict(row)
            if offset + len(rows) >= total or not rows:
                return
            offset += max(1, len(rows) - 1)  # the last row again, to see whether any have left

    def _check_part(self, part: Any) -> tuple[list[dict[str, Any]], int]:
        """Check that an answer has the form of a part of the table; return its rows and the number of all.

        Raises:
            ServerError: it has another form.
        """
        rows, total = (part.get("rows"), part.get("total")) if isinstance(part, dict) else (None, None)
        if isinstance(rows, list) and isinstance(total, int) and all(map(_is_row, rows)):
            return rows, total
        raise ServerError(
            f"{self.server} answered in a form that this version does not know; is it a leaderboard, and as new as "
            f"earthreason {earthreason.__version__}?",
            200,
        )

    def announce(
        self, split: str, file: Path, metadata: Mapping[str, Any], card: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Announce a file before its upload. The same file always gives the same submission."""
        with file.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        about = {"split": split, "sha256": sha256, "size": file.stat().st_size}
        return dict(self._ask("POST", "/api/submissions", {**about, "metadata": dict(metadata), "card": card}))

    def upload(self, submission_id: str, file: Path, progress: Callable[[int], object]) -> dict[str, Any]:
        """Send the file; call `progress` with the number of bytes sent so far."""
        path = f"/api/submissions/{submission_id}/predictions"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
        return dict(self._retry(lambda: self._ask_once("PUT", path, _read_pieces(file, progress), headers)))

    def status(self, submission_id: str) -> dict[str, Any]:
        """Fetch the current state of a submission."""
        return dict(self._ask("GET", f"/api/submissions/{submission_id}"))

    def follow(self, submission_id: str, timeout: float) -> dict[str, Any]:
        """Wait until the submission is scored or has failed.

        Args:
            submission_id: id of the submission.
            timeout: longest time to wait, seconds.

        Raises:
            EarthReasonError: the submission is not finished after `timeout`.
        """
        deadline = time.monotonic() + timeout
        while True:
            submission = self.status(submission_id)
            if submission["state"] in _FINAL:
                return submission
            if time.monotonic() > deadline:
                raise EarthReasonError(
                    f"still {submission['state']} after {timeout:g} s; run the same command again to keep waiting, "
                    f"or see {submission['url']}"
                )
            time.sleep(self.pause)

    def publish(self, submission_id: str) -> dict[str, Any]:
        """Make a scored submission public."""
        return dict(self._ask("PATCH", f"/api/submissions/{submission_id}", {"visibility": "public"}))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        return self._retry(lambda: self._ask_once(method, path, content, {"Content-Type": "application/json"}))

    def _retry(self, ask: Callable[[], Any]) -> Any:
        """Repeat a request while the server is unavailable. This is safe, because all requests are idempotent.

        A server that does not answer at all is given up after two minutes, as it may never answer.
        """
        began = time.monotonic()
        for attempt in range(_ATTEMPTS - 1):
            try:
                return ask()
            except ServerError as error:
                if error.final or error.status not in (None, 502, 503, 504):
                    raise
                if time.monotonic() - began > _TIMEOUT_SECONDS:
                    raise
            time.sleep(self.pause * 2 ** min(attempt, 4))
        return ask()

    def _ask_once(self, method: str, path: str, body: bytes | Iterator[bytes] | None, headers: dict[str, str]) -> Any:
        if self.token is not None and not self.reads_only:
            headers = {**headers, "Authorization": f"Bearer {self.token}"}
        try:
            request = self._http.build_request(method, self.server + path, content=body, headers=headers)
            answer = self._follow_redirects(self._http.send(request))
        except httpx.RequestError as error:
            final = _is_final(error)
            raise ServerError(f"{self.server} does not answer: {error or type(error).__name__}", final=final) from None
        if not answer.is_success:
            reason = _reason(answer)
            raise ServerError(f"{self.server} answered {answer.status_code}: {reason}", answer.status_code)
        try:
            return answer.json()
        except ValueError:
            raise ServerError(f"{self.server} did not answer with JSON; is it a leaderboard?", 200) from None

    def _follow_redirects(self, answer: httpx.Response) -> httpx.Response:
        """Follow redirects of GET requests within the server's origin.

        Raises:
            ServerError: the redirect leads to another origin, which must not receive the token or the file; or the
                request is not a GET and would have to be sent again.
        """
        for _ in range(_MOST_REDIRECTS):
            if answer.next_request is None:
                return answer
            following = answer.next_request
            if answer.request.method != "GET" or _origin(following.url) != _origin(answer.request.url):
                address = f"{following.url.scheme}://{following.url.netloc.decode('ascii')}"  # without credentials
                raise ServerError(
                    f"{self.server} redirects to {address}, where your token was not sent; if you trust that address, "
                    "pass it as the server",
                    answer.status_code,
                )
            answer = self._http.send(following)
        raise ServerError(f"{self.server} redirects more than {_MOST_REDIRECTS} times", answer.status_code)


def _check_server(server: str, *, reads_only: bool) -> str:
    """Check the URL of a leaderboard and remove a slash at its end.

    Raises:
        EarthReasonError: it cannot be one; a password in it is not shown.
    """
    shown = re.sub(r"//[^/@]*@", "//...@", server)
    try:
        parts = urlsplit(server)
        host, port, named = parts.hostname, parts.port, parts.username is not None
    except ValueError as error:
        raise EarthReasonError(f"{shown}: not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise EarthReasonError(f"{shown}: the URL of a leaderboard begins with https://")
    if named or parts.query or parts.fragment:
        raise EarthReasonError(
            f"{shown}: the URL of a leaderboard has no user, `?` or `#`, as in https://board.example"
        )
    if parts.scheme == "http" and host not in _LOCAL and not reads_only:
        raise EarthReasonError(f"{shown}: http:// would send your token unencrypted; use https://")
    return server.rstrip("/")


def check_token(token: str) -> str:
    """Check that a token can be sent, and return it.

    Raises:
        EarthReasonError: it has other characters than tokens have; it is not shown.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", token):
        raise EarthReasonError(
            "the token has characters that no token has, perhaps a space or line break; copy it again"
        )
    return token


def _is_final(error: httpx.RequestError) -> bool:
    """Tell whether an error cannot mend itself. The package reports faults of TLS as connections that failed."""
    wrong = httpx.UnsupportedProtocol | httpx.LocalProtocolError
    return isinstance(error, wrong) or "[SSL" in str(error)


def _is_row(row: Any) -> bool:
    """Tell whether a value has what every row of the table has."""
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in _ROW_TEXTS):
        return False
    scores, numbers = row.get("scores"), (row.get("place"), row.get("decimals"))
    return (
        isinstance(scores, dict)
        and all(isinstance(cell, list) and cell and isinstance(cell[0], int | float) for cell in scores.values())
        and all(number is None or isinstance(number, int) for number in numbers)
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port, including a default port."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


def _read_pieces(path: Path, progress: Callable[[int], object]) -> Iterator[bytes]:
    """Yield a file in pieces; report the number of bytes read so far."""
    sent = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
            sent += len(piece)
            progress(sent)
