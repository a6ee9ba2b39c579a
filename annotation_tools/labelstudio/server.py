"""A Label Studio of our own on its embedded database, as a child process."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from earthreason.cli.ports import check_free
from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, write_json

OWNER = "owner@example.org"
_RUNNING = "running.json"
_PATIENCE = 300.0
"""Seconds the first start may take: it makes the database."""


@dataclass(frozen=True)
class Login:
    """How the owner of a local server signs in, in the browser and at the API."""

    email: str
    password: str
    token: str


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    login: Login


def login_of(folder: Path) -> Login:
    """The login of a server whose data is in a folder; made up on first use and readable by its owner only."""
    path = folder / "login.json"
    if path.is_file():
        return Login(**json.loads(path.read_text(encoding="utf-8")))
    login = Login(OWNER, secrets.token_urlsafe(12), secrets.token_hex(20))
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(asdict(login)), encoding="utf-8")
    return login


@contextmanager
def local_server(program: Path, folder: Path, host: str, port: int) -> Iterator[Running]:
    """Run Label Studio with its data in a folder; it is stopped when the block ends.

    Args:
        program: `label-studio`.
        folder: of database, uploads, login and log.
        host: to listen on.
        port: to listen on.

    Raises:
        EarthReasonError: the port is taken, or it does not come up; names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_second(folder)
    check_free(host, port)  # Label Studio itself would silently take the next port
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
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(folder, login),
            cwd=folder,
            start_new_session=True,
        )
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    write_json(folder / _RUNNING, {"pid": process.pid, "url": url})
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
    """Two servers on one embedded database would spoil it; one outlives us when we are killed.

    Raises:
        EarthReasonError: one is running; says how to stop it.
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
    """Secrets go this way: command lines can be read by everybody on the machine."""
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
            raise EarthReasonError(f"Label Studio stopped at once (exit code {process.returncode}); its log is {log}")
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise EarthReasonError(f"Label Studio did not answer at {url} within {_PATIENCE:.0f} s; its log is {log}")
