"""Client processes for tests against the loopback Hub, because `huggingface_hub` reads HF_ENDPOINT at its import."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = "earth-insights/EarthReason"
GET = """
import json, logging
logging.basicConfig()
from pathlib import Path
from earthreason.data.download import download_release
from earthreason.errors import EarthReasonError
def get(revision=None, repository="a/b", **more):
    try:
        found = download_release(Path("data"), repository, revision, **more)
        print(json.dumps([str(found.release), found.revision, found.counts]))
    except EarthReasonError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
"""
"""Code of a client that prints what `download_release` returns or raises."""


def archives_of(release, *, without=()):
    """One archive a split, nested as the release's are; `without` names stems to leave out."""
    files = {"README.md": b"# a card\n"}
    for split in ("train", "val", "test"):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path in sorted((release / split).rglob("*")):
                if path.is_file() and path.stem not in without:
                    archive.write(path, f"RSReasonSeg/{split}/{path.relative_to(release / split)}")
        files[f"{split}.zip"] = content.getvalue()
    return files


def environment(hub, home, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "EARTHREASON"))}
    hub_variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(ROOT)}
    return {**kept, **hub_variables, **quiet, **variables}


def start_client(hub, home, code, **variables):
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(hub, home, **variables), cwd=home, **pipes)


def run_client(hub, home, code, expect=0, **variables):
    """Run Python code as a client of the Hub, and return what it printed."""
    client = start_client(hub, home, code, **variables)
    out, err = client.communicate(timeout=120)
    assert client.returncode == expect, err
    return out
