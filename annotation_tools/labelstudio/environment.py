"""Install Label Studio into its own environment: in ours it would force older versions of our libraries."""

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
    """Return the folder of the environment: $EARTHREASON_LABEL_STUDIO, or one in the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "earthreason" / f"label-studio-{VERSION}"


def installed_program() -> Path | None:
    """Return the program `label-studio`, or None if it is not installed."""
    folder = environment_folder()
    program = folder / "bin" / "label-studio"
    return program if (folder / _READY).is_file() and program.is_file() else None


def ensure_program() -> Path:
    """Return the program; install it from the package index on first use (about 100 packages, some minutes).

    An interrupted installation starts again from an empty environment.

    Raises:
        EarthReasonError: the installation failed; the message gives the reason.
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
                f"Label Studio {VERSION} could not be installed into {folder} ({reason}); the package index must be "
                "reachable once. You can also use your own server with --url and --token"
            )
        write_text(folder / _READY, f"{VERSION}\n{sys.version}\n")
    return folder / "bin" / "label-studio"
