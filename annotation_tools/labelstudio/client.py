"""A client for the calls of Label Studio's REST API that we need. Its SDK would downgrade our dependencies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from earthreason.data.pictures import untagged
from earthreason.errors import DataFormatError, EarthReasonError

from ..images import suffix_of_content

_PAGE = 50
_TIMEOUT = 120.0
_REFRESH = "/api/token/refresh"
_FILES = "/data/"
_MEDIA = {".png": "image/png", ".jpg": "image/jpeg"}


class LabelStudioError(EarthReasonError, ConnectionError):
    """Label Studio cannot be reached, refused a request, or no longer has the requested object."""


class GoneError(LabelStudioError, LookupError):
    """The requested object is not on the server."""


class LabelStudioClient:
    """An authenticated connection, which several threads may use. Use as a context manager."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """Connect and check the token.

        Args:
            url: address of the server.
            token: personal access token (JWT) or legacy token.
            transport: transport that replaces the network in tests.

        Raises:
            LabelStudioError: the server is down, is not Label Studio, or refuses the token.
        """
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, transport=transport, follow_redirects=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise LabelStudioError(f"--url {url}: {error}") from None
        self._token = token
        self._authorization = ""
        self._signing = Lock()
        self._sign_in()
        self.version = self._version()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _sign_in(self) -> None:
        if not self._token.isascii() or not self._token.isprintable():
            raise LabelStudioError("the token contains invalid characters; copy it again from Account & Settings")
        if self._token.count(".") == 2:  # a personal access token is exchanged for one that is valid for minutes
            answer = self.call("POST", _REFRESH, json={"refresh": self._token})
            if not isinstance(answer, dict) or "access" not in answer:
                raise LabelStudioError(f"{self.url} answers, but is not Label Studio")
            self._authorization = f"Bearer {answer['access']}"
        else:
            self._authorization = f"Token {self._token}"

    def _version(self) -> str:
        self.call("GET", "/api/current-user/whoami")  # checks the token, which the version does not need
        try:
            return f"label-studio {self.call('GET', '/api/version')['release']}"
        except (KeyError, TypeError):
            raise LabelStudioError(f"{self.url} answers, but is not Label Studio") from None

    def call(self, method: str, path: str, **parameters: Any) -> Any:
        """Send a request; return the JSON of the answer, or None if it has no body.

        Raises:
            GoneError: the answer is 404.
            LabelStudioError: any other failure.
        """
        answer = self._send(method, path, **parameters)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise LabelStudioError(f"{self.url}{path} does not answer with JSON; is it Label Studio?") from None

    def _send(self, method: str, path: str, *, again: bool = True, **parameters: Any) -> httpx.Response:
        used = "" if path == _REFRESH else self._authorization  # Label Studio refuses the exchange with an old token
        headers = {"Authorization": used} if used else {}
        try:
            answer = self._http.request(method, path, headers=headers, **parameters)
        except httpx.TransportError as error:
            raise LabelStudioError(
                f"no Label Studio answers at {self.url} ({type(error).__name__}); start it with `masks start`, or "
                "check --url"
            ) from None
        if answer.status_code == 401 and again and used.startswith("Bearer"):
            with self._signing:
                if self._authorization == used:  # else another thread has renewed it
                    self._sign_in()
            return self._send(method, path, again=False, **parameters)
        if answer.status_code in (401, 403):
            raise LabelStudioError(
                f"{self.url} refuses the token ({_detail(answer)}); copy one from Account & Settings there and pass it "
                "with --token"
            )
        if answer.status_code == 404:
            raise GoneError(f"{self.url}{path} does not exist")
        if not answer.is_success:
            raise LabelStudioError(f"{self.url}{path}: {answer.status_code} {_detail(answer)}")
        return answer

    def users(self) -> dict[int, str]:
        """Return the e-mail addresses by user ID."""
        return {int(user["id"]): str(user["email"]) for user in self.call("GET", "/api/users/")}

    def invite_url(self) -> str:
        """Return the URL where annotators create their accounts."""
        return self.url + str(self.call("GET", "/api/invite")["invite_url"])

    def create_project(self, title: str, config: str, overlap: int) -> int:
        """Create a project; return its ID."""
        body = {
            "title": title,
            "label_config": config,
            "maximum_annotations": overlap,
            "show_collab_predictions": True,
            "sampling": "Sequential sampling",
            "show_skip_button": True,
            "enable_empty_annotation": False,
        }
        return int(self.call("POST", "/api/projects/", json=body)["id"])

    def project(self, project: int) -> dict[str, Any]:
        """Return the settings of a project.

        Raises:
            GoneError: the project was deleted.
        """
        return dict(self.call("GET", f"/api/projects/{project}/"))

    def change_project(self, project: int, **settings: Any) -> None:
        """Change settings of a project, such as `label_config`."""
        self.call("PATCH", f"/api/projects/{project}/", json=settings)

    def change_task(self, task: int, data: dict[str, Any]) -> None:
        """Replace the data of a task."""
        self.call("PATCH", f"/api/tasks/{task}/", json={"data": data})

    def add_prediction(self, task: int, project: int, prediction: dict[str, Any]) -> None:
        """Add a prediction to a task."""
        self.call("POST", "/api/predictions/", json={"task": task, "project": project, **prediction})

    def delete_prediction(self, prediction: int) -> None:
        """Delete a prediction."""
        self.call("DELETE", f"/api/predictions/{prediction}/")

    def upload_picture(self, project: int, path: Path) -> str:
        """Upload a picture; return its URL on the server."""
        content = untagged(path.read_bytes(), path)
        suffix = suffix_of_content(content)
        files = {"file": (path.stem + suffix, content, _MEDIA[suffix])}
        answer = self.call(
            "POST", f"/api/projects/{project}/import", params={"commit_to_project": "false"}, files=files
        )
        listed = self.call(
            "GET", f"/api/projects/{project}/file-uploads", params={"ids": json.dumps(answer["file_upload_ids"])}
        )
        return f"/data/{listed[0]['file']}"

    def import_tasks(self, project: int, tasks: list[dict[str, Any]]) -> None:
        """Add tasks with their predictions."""
        self.call("POST", f"/api/projects/{project}/import", json=tasks)

    def tasks(self, project: int) -> Iterator[dict[str, Any]]:
        """Yield all tasks of a project with data and annotations, fetched page by page."""
        page, seen = 1, 0
        while True:
            query = {"project": project, "page": page, "page_size": _PAGE, "fields": "all"}
            answer = self.call("GET", "/api/tasks/", params=query)
            yield from answer["tasks"]
            seen += len(answer["tasks"])
            if seen >= answer["total"] or not answer["tasks"]:
                return
            page += 1

    def connect_model(self, project: int, url: str, title: str, key: str | None = None) -> int:
        """Add an ML backend for interactive use to a project, or update the one with this title; return its ID.

        Args:
            project: project ID.
            url: address of the backend, as the server reaches it.
            title: name of the backend.
            key: password for the backend; None for none.

        Raises:
            LabelStudioError: the server cannot reach the backend, or may not.
        """
        body: dict[str, Any] = {"project": project, "url": url, "title": title, "is_interactive": True}
        if key is not None:
            body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": "assist", "basic_auth_pass": key}
        else:
            body["auth_method"] = "NONE"
        there = self.call("GET", "/api/ml/", params={"project": project})
        known = next((int(backend["id"]) for backend in there if backend["title"] == title), None)
        try:
            if known is None:
                return int(self.call("POST", "/api/ml/", json=body)["id"])
            self.call("PATCH", f"/api/ml/{known}", json=body)
        except LabelStudioError as error:
            if "reserved network address" in str(error):
                raise LabelStudioError(
                    f"{self.url} refuses models at private addresses such as {url}; its administrator can allow them "
                    "with ML_BLOCK_LOCAL_IP=false and USE_DEFAULT_BANNED_SUBNETS=false in its environment"
                ) from None
            raise
        return known

    def download(self, address: str, longest: int) -> bytes:
        """Fetch a file that the server keeps for its tasks.

        Args:
            address: its URL in a task, on this server.
            longest: largest size, bytes.

        Raises:
            DataFormatError: the address is not one of files on this server; nothing is fetched from elsewhere.
            LabelStudioError: the file cannot be fetched, or is larger.
        """
        path = self._file_path(address)
        with self._stream(path) as answer:
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > longest:
                    raise LabelStudioError(f"{self.url}{path}: is larger than {longest >> 20} MiB")
        return bytes(content)

    @contextmanager
    def _stream(self, path: str) -> Iterator[httpx.Response]:
        try:
            if self._token.count(".") == 2:
                self.call("GET", "/api/current-user/whoami")  # exchanges an expired token
            with self._http.stream("GET", path, headers={"Authorization": self._authorization}) as answer:
                if not answer.is_success:
                    raise LabelStudioError(f"{self.url}{path}: {answer.status_code} {answer.reason_phrase}")
                yield answer
        except httpx.TransportError as error:
            raise LabelStudioError(f"{self.url}{path} cannot be fetched ({type(error).__name__})") from None

    def _file_path(self, address: str) -> str:
        """Return path and query of a file's URL on this server."""
        try:
            given, own = urlsplit(address), urlsplit(self.url)
            same = (not given.netloc and not given.scheme) or _origin(given) == _origin(own)
        except ValueError:
            raise DataFormatError(f"{address}: not an address") from None
        prefix = own.path.rstrip("/") if given.netloc else ""
        path = given.path.removeprefix(prefix)
        if not same or not path.startswith(_FILES) or ".." in unquote(path).split("/") or "\\" in unquote(path):
            raise DataFormatError(
                f"{address}: not a file kept by {self.url}; pictures elsewhere are not fetched. Name the workspace, "
                "which has them"
            )
        return path + (f"?{given.query}" if given.query else "")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.reason_phrase
    faults = body.get("validation_errors") if isinstance(body, dict) else None
    return json.dumps(faults) if faults else str(body.get("detail", body) if isinstance(body, dict) else body)
