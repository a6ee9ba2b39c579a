"""Connect a running `assist` to a project on Label Studio, and give people the tools to click with."""

from __future__ import annotations

from urllib.parse import urlsplit

from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.config import with_click_tools
from earthreason.errors import EarthReasonError

TITLE = "EarthReason assist"
LOCAL_MODELS = {"ML_BLOCK_LOCAL_IP": "false"}
"""Environment of a Label Studio that may use models on its own machine, which it refuses otherwise."""


def check_address(url: str) -> str:
    """Return the address of an assist without a slash at the end.

    Raises:
        EarthReasonError: it is not an http or https address, or contains a user name.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise EarthReasonError(f"--assist {url}: must be an address such as http://127.0.0.1:9090")
    if "@" in parts.netloc:
        raise EarthReasonError("--assist: leave out user name and password, and give the access key with --assist-key")
    return url.rstrip("/")


def connect_assist(client: LabelStudioClient, project: int, url: str, key: str | None = None) -> int:
    """Add an assist to a project, or update it, with tools for clicks and boxes; return its ID there.

    Annotations and the rest of the configuration stay.

    Raises:
        EarthReasonError: Label Studio cannot reach it, or may not.
    """
    address = check_address(url)
    config = str(client.project(project)["label_config"])
    extended = with_click_tools(config)
    if extended != config:
        client.set_config(project, extended)
    return client.connect_model(project, address, TITLE, key)
