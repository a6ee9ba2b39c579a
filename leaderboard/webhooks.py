"""Webhooks: signed as the Standard Webhooks specification says, and sent to public addresses only.

The address that was checked is the one that is connected to, so a name cannot answer the check with a public address
and the connection with a private one. Redirects are not followed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

import earthreason

from .outgoing import TEST_EVENT, Message, queue_event
from .records import Link
from .submissions import RefusedError
from .tables import Outgoing, Webhook
from .tokens import Caller

MOST_WEBHOOKS = 5
SECRET_PREFIX = "whsec_"
_PORTS = (80, 443)
_LEAST_FREE_PORT = 1024
_SECONDS = 10.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """A name stands for an address that is not public."""


def add_webhook(session: Session, caller: Caller, url: str, *, private: bool) -> Webhook:
    """Add a webhook to the caller's team.

    Raises:
        RefusedError: the caller may not, the address cannot be one, or the team has enough.
    """
    if caller.team_id is None or not caller.is_owner:
        raise RefusedError("only owners of a team may add webhooks", status=403)
    check_url(url, private=private)
    if len(list_webhooks(session, caller.team_id)) >= MOST_WEBHOOKS:
        raise RefusedError(f"a team has at most {MOST_WEBHOOKS} webhooks")
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    hook = Webhook(team_id=caller.team_id, url=url, secret=secret, created=time.time())
    session.add(hook)
    session.flush()
    queue_event(session, hook, TEST_EVENT, {"webhook": hook.id})
    return hook


def remove_webhook(session: Session, caller: Caller, webhook_id: int) -> None:
    """Remove a webhook of the caller's team, with what waits to be sent to it.

    Raises:
        RefusedError: there is none, or the caller may not.
    """
    hook = session.get(Webhook, webhook_id)
    if hook is None or hook.team_id != caller.team_id:
        raise RefusedError("there is no such webhook of your team", status=404)
    if not caller.is_owner:
        raise RefusedError("only owners of a team may remove webhooks", status=403)
    session.execute(delete(Outgoing).where(Outgoing.webhook_id == webhook_id))
    session.delete(hook)


def list_webhooks(session: Session, team_id: int) -> list[Webhook]:
    """List the webhooks of a team."""
    return list(session.scalars(select(Webhook).where(Webhook.team_id == team_id).order_by(Webhook.id)))


def check_url(url: str, *, private: bool) -> None:
    """Check the form of an address. What its name stands for is checked with each connection.

    Raises:
        RefusedError: the address cannot be a webhook's.
    """
    try:
        parts = urlsplit(TypeAdapter(Link).validate_python(url))
        port = parts.port
    except (ValidationError, ValueError):
        raise RefusedError("the webhook is not a web address such as https://example.org/hook", status=422) from None
    if private:
        return
    if parts.scheme != "https":
        raise RefusedError("a webhook's address begins with https://", status=422)
    if port is not None and port not in _PORTS and port < _LEAST_FREE_PORT:
        raise RefusedError(f"a webhook may not use port {port}, which belongs to another service", status=422)
    try:
        literal = ipaddress.ip_address((parts.hostname or "").strip("[]"))
    except ValueError:
        return
    if not is_public(literal):
        raise RefusedError("a webhook must have a public address", status=422)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is one of the public internet; IPv6 forms of IPv4 addresses are looked into."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def sign(secret: str, message_id: str, moment: int, body: bytes) -> str:
    """Sign a message: `v1,` and the HMAC-SHA256 of ID, time and body under the webhook's secret, in base 64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{moment}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def send_event(message: Message, secret: str, *, private: bool) -> str | None:
    """Send an event; return why it was not taken, or None. Nothing of the answer but its status is told to anyone."""
    body = json.dumps(message.body, separators=(",", ":")).encode()
    moment = int(time.time())
    headers: dict[bytes | str, bytes | str] = {
        "Content-Type": "application/json",
        "User-Agent": f"earthreason-leaderboard/{earthreason.__version__}",
        "webhook-id": message.id,
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(secret, message.id, moment, body),
    }
    limits = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
    try:
        check_url(message.address, private=private)
        with (
            httpcore.ConnectionPool(network_backend=CheckedNetwork(private=private)) as pool,
            pool.stream("POST", message.address, headers=headers, content=body, extensions={"timeout": limits}) as got,
        ):
            return None if 200 <= got.status < 300 else f"answered {got.status}"
    except RefusedError as error:
        return str(error)
    except PrivateAddressError:
        return "the name does not stand for a public address"
    except (OSError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ValueError) as error:
        return f"no answer: {type(error).__name__}"


class CheckedNetwork(httpcore.SyncBackend):
    """Connects to public addresses only, unless private ones are allowed."""

    def __init__(self, *, private: bool, seconds: float = _SECONDS) -> None:
        self._private, self._deadline = private, time.monotonic() + seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve a name once, check every address that it stands for, and connect to the first.

        Raises:
            PrivateAddressError: one of the addresses is not public.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        if not self._private and not all(is_public(ipaddress.ip_address(one.split("%")[0])) for one in addresses):
            raise PrivateAddressError
        stream = super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)
        return _TimedStream(stream, self._deadline)


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends at a moment, however slowly its other end sends."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
