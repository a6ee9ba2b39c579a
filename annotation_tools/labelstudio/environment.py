"""Label Studio in an environment of its own: installed beside ours it would force older versions of our libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from filelock import FileLock

from earthreason.errors import EarthReasonError
from earthreason.files import write_text

VERSION = "1.23.2"
FOLDER_VARIABLE = "EARTHREASON_LABEL_STUDIO"
_READY = "earthreason-ready"


def environment_folder() -> Path:
    """Where the environment is: $EARTHREASON_LABEL_STUDIO, else the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "earthreason" / f"label-studio-{VERSION}"


def installed_program() -> Path | None:
    """The program `label-studio` of a finished environment, None before."""
    folder = environment_folder()
    program = folder / "bin" / "label-studio"
    return program if (folder / _READY).is_file() and program.is_file() else None


def ensure_program() -> Path:
    """The program, installed from the package index on first use (about 100 packages, some minutes).

    An environment whose installation was interrupted is made anew.

    Raises:
        EarthReasonError: the installation failed; says why.
    """
    folder = environment_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        program = installed_program()
        if program is not None:
            return program
        venv.EnvBuilder(with_pip=True, clear=True).create(folder)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"label-studio=={VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = next(
                (line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip failed"
            )
            raise EarthReasonError(
                f"Label Studio {VERSION} could not be installed into {folder} ({reason}); it needs the package index "
                "once. Or use a server of your own with --url and --token"
            )
        write_text(folder / _READY, f"{VERSION}\n{sys.version}\n")
    return folder / "bin" / "label-studio"
