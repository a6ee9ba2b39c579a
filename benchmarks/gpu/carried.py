"""Use the packages that `pack` put into the checkout. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.context import PACKED, ROOT

_UNPACKING_SECONDS = 90.0


def packed_commit() -> str | None:
    """Return the commit that `pack` recorded: a copied tree may be on top of an older commit, or of none."""
    path = PACKED / "commit.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def make_environment(work: Path, device: str) -> dict[str, str]:
    """Make the environment of all steps: carried packages on the path, golden files available, downloads disabled.

    Args:
        work: folder for files that are not copied back.
        device: `cuda` or `cpu`.
    """
    paths = [str(ROOT), *_unpack_wheels(work / "site"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths).rstrip(os.pathsep),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(work / "cache"),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "EARTHREASON_GPU_KIT": device,
    }
    if device == "cpu":
        environment["OMP_NUM_THREADS"] = "1"
    if (PACKED / "shared").is_dir():
        environment["EARTHREASON_SHARED"] = str(PACKED / "shared")
    return environment


def _unpack_wheels(site: Path) -> list[str]:
    """Unpack the carried packages into `site` and return it; a rehearsal on the packing machine has none."""
    wheels = sorted((PACKED / "wheels").glob("*.whl"))
    tag = f"-cp{sys.version_info.major}{sys.version_info.minor}-"
    if not any(tag in wheel.name for wheel in wheels):
        return []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    install = [*pip, "--no-cache-dir", "--target", str(site), *map(str, wheels)]
    try:
        subprocess.run(install, capture_output=True, text=True, check=True, timeout=_UNPACKING_SECONDS)
    except subprocess.CalledProcessError as error:
        print(f"the carried packages cannot be unpacked: {error.stderr.strip()[-400:]}", file=sys.stderr)
    except subprocess.TimeoutExpired:
        print(f"the carried packages were not unpacked in {_UNPACKING_SECONDS:.0f} s", file=sys.stderr)
    return [str(site)]
