"""Run a local Label Studio with its embedded database as a child process."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from earthreason.cli.ports import check_free
from earthreason.errors import EarthReasonError
from earthreason.files import private_path

from ..hosts import local_url

OWNER = "owner@example.org"
_RUNNING = "running.json"
_PATIENCE = 300.0
"""Seconds that a start may take; the first one creates the database."""


@dataclass(frozen=True)
class Login:
    """Credentials of the owner of a local server, for the browser and the API."""

    email: str
    password: str
    token: str


@dataclass(frozen=True)
class Running:
    """A running server."""

    url: str
    login: Login


def login_of(folder: Path) -> Login:
    """Return the login of the server in a folder; on first use, create one that only the file's owner can read."""
    path = folder / "login.json"
    if path.is_file():
        return Login(**json.loads(path.read_text(encoding="utf-8")))
    login = Login(OWNER, secrets.token_urlsafe(12), secrets.token_hex(20))
    with private_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(login)), encoding="utf-8")
    return login


def make_private(folder: Path) -> None:
    """Keep a folder and all in it from other users of the machine: 0700 for folders, 0600 for files.

    Label Studio gives pictures 0644 as it stores them; the folders around them protect them until the next start.
    """
    folder.chmod(0o700)  # first, so that nobody enters while the rest is changed
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def local_server(
    program: Path, folder: Path, host: str, port: int, settings: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run Label Studio until the block ends.

    Args:
        program: the program `label-studio`.
        folder: folder of database, uploads, login and log; other users of the machine lose access to it.
        host: address to listen on.
        port: port to listen on.
        settings: further environment variables of Label Studio.

    Raises:
        EarthReasonError: the port is taken, or the server does not start; the message names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make_private(folder)
    _refuse_second(folder)
    check_free(host, port)  # Label Studio would silently use the next port
    login, log = login_of(folder), folder / "server.log"
    command = [
        str(program),
        "start",
        "--no-browser",
        "--internal-host",
        host,
        "--port",
        str(port),
        "--data-dir",
        str(folder),
        "--username",
        login.email,
        "--enable-legacy-api-token",
    ]
    log.touch(mode=0o600)
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(folder, login) | dict(settings or {}),
            cwd=folder,
            start_new_session=True,
            umask=0o077,
        )
    url = local_url(host, port)
    with private_path(folder / _RUNNING) as temporary:
        temporary.write_text(json.dumps({"pid": process.pid, "url": url}), encoding="utf-8")
    try:
        _wait(process, url, log)
        yield Running(url, login)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        (folder / _RUNNING).unlink(missing_ok=True)


def _refuse_second(folder: Path) -> None:
    """Refuse to start a second server on the embedded database: the first one survives if our process is killed.

    Raises:
        EarthReasonError: a server is running; the message says how to stop it.
    """
    path = folder / _RUNNING
    if not path.is_file():
        return
    known = json.loads(path.read_text(encoding="utf-8"))
    try:
        command = Path(f"/proc/{known['pid']}/cmdline").read_bytes()
    except OSError:
        return
    if str(folder).encode() in command:
        raise EarthReasonError(
            f"the Label Studio of this workspace is still running at {known['url']}; `masks collect` works with it, "
            f"`kill {known['pid']}` stops it"
        )


def _environment(folder: Path, login: Login) -> dict[str, str]:
    """Build the server's environment. It carries the secrets, because every user can read command lines."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return inherited | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_PASSWORD": login.password,
        "LABEL_STUDIO_USER_TOKEN": login.token,
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "DEBUG": "false",
    }


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EarthReasonError(f"Label Studio stopped immediately (exit code {process.returncode}); see {log}")
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise EarthReasonError(f"Label Studio did not answer at {url} within {_PATIENCE:.0f} s; see {log}")
