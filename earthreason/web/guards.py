"""Guards of pages that are served: known host names, requests of own pages only, and security headers."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from earthreason.errors import describe_validation_error
from earthreason.web.asgi import App, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_HOST = "*"


def content_policy(images: Sequence[str] = (), workers: Sequence[str] = ()) -> str:
    """Write a Content-Security-Policy: all content comes from the page's own address, and nobody may frame it.

    Args:
        images: further sources of images, such as `data:`.
        workers: further sources of web workers, such as `blob:`.
    """
    rules = {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", *images],
        "connect-src": ["'self'"],
        "worker-src": ["'self'", *workers] if workers else [],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items() if sources)


def safe_headers(policy: str, referrer: str = "no-referrer") -> dict[str, str]:
    """Return the security headers of every answer, with a Content-Security-Policy and a Referrer-Policy."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": referrer,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


class SafeHeaders:
    """Adds the security headers to every answer that does not have its own."""

    def __init__(self, app: App, headers: Mapping[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def hosts_of(host: str) -> tuple[str, ...]:
    """List the host names to which a server that listens on `host` answers: on the loopback address only its own."""
    return LOOPBACK if host in LOOPBACK else (ANY_HOST,)


class KnownHosts:
    """Refuses requests to unknown host names: pages of other sites whose name resolves to this machine (DNS rebinding).

    Addresses in numbers are known, because no site can make one its own.
    """

    def __init__(self, app: App, hosts: Collection[str]) -> None:
        self.app, self.hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._knows(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
            return
        await JSONResponse({"error": "this server does not answer to that host name"}, 400)(scope, receive, send)

    def _knows(self, given: str) -> bool:
        if ANY_HOST in self.hosts:
            return True
        name = _without_port(given).lower()
        return name in self.hosts or _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class OwnPagesOnly:
    """Refuses requests that a browser sends for a page at another address."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            refusal = JSONResponse({"error": "the request came from a page at another address"}, 403)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def guard_pages(app: FastAPI, hosts: Collection[str], policy: str) -> None:
    """Add all guards of this module to an application; the first to see a request adds the headers."""
    app.add_middleware(OwnPagesOnly)
    app.add_middleware(KnownHosts, hosts=hosts)
    app.add_middleware(SafeHeaders, headers=safe_headers(policy))


def tell_faults_as_json(app: FastAPI) -> None:
    """Answer requests that do not fit the description, and the framework's own refusals, as `{"error": line}`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": describe_validation_error(error, limit=1)}, 422)

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
