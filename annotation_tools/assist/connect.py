"""Connect a running `assist` to a project on Label Studio, and give people the tools to click with."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from earthreason.errors import EarthReasonError

from ..labelstudio.client import LabelStudioClient
from ..labelstudio.config import with_click_tools

TITLE = "EarthReason assist"
_RESERVED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"),
    *("64:ff9b:1::/48", "100::/64", "2001::/32", "2001:20::/28", "2001:db8::/32", "2002::/16", "fc00::/7"),
    *("fe80::/10", "ff00::/8"),
)
"""Networks of IANA's registries for special purposes, which Label Studio does not connect to by default."""


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


def settings_for(url: str) -> dict[str, str]:
    """Return the environment of a Label Studio that may reach an assist at this address.

    Label Studio refuses models and their webhooks in reserved networks. The network of the assist is allowed; all
    other reserved ones stay refused.

    Raises:
        EarthReasonError: the host name is unknown.
    """
    host = str(urlsplit(url).hostname)
    try:
        address = ip_address(socket.gethostbyname(host))
    except OSError as error:
        raise EarthReasonError(f"--assist {url}: {host} is unknown ({error})") from None
    refused = [name for name in _RESERVED if address not in ip_network(name)]
    return {
        "ML_BLOCK_LOCAL_IP": "false",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": ",".join(refused),
    }


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
        client.change_project(project, label_config=extended)
    return client.connect_model(project, address, TITLE, key)
