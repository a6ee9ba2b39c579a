"""Sign in with an account at GitHub, at the Hugging Face Hub or at any other OpenID provider.

The code that a provider returns is exchanged with the verifier that only this server knows (PKCE), and the ID token of
an OpenID provider is checked with the provider's keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .members import Identity
from .settings import Settings
from .submissions import RefusedError

GITHUB, HUGGING_FACE = "github", "huggingface"
TITLES = {GITHUB: "GitHub", HUGGING_FACE: "Hugging Face"}
_SECONDS = 10.0
_ALGORITHMS = ["RS256", "ES256"]
_LEEWAY_SECONDS = 60
_NAME_LENGTH = 80


class ProviderError(RefusedError):
    """A provider does not answer, or not as it should."""

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(f"{title} did not confirm who you are ({reason}); try again", status=502)


@dataclass(frozen=True)
class Provider:
    """Where and as whom to ask. `keys_url` is that of an OpenID provider's keys; None without ID tokens."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    authorize_url: str
    token_url: str
    user_url: str
    scope: str
    keys_url: str | None

    @property
    def title(self) -> str:
        return TITLES[self.name]


@dataclass(frozen=True)
class Kept:
    """What stays here while a browser is at the provider: it proves that the answer belongs to the question."""

    verifier: str
    nonce: str


def offered(settings: Settings) -> dict[str, str]:
    """List the providers that the operator has set up: name and title."""
    ids = {GITHUB: settings.github_client_id, HUGGING_FACE: settings.huggingface_client_id}
    return {name: TITLES[name] for name, client_id in ids.items() if client_id is not None}


def find_provider(settings: Settings, name: str) -> Provider:
    """Find where a provider's pages are; an OpenID provider tells them itself.

    Raises:
        RefusedError: it is not offered.
        ProviderError: it does not answer.
    """
    if name not in offered(settings):
        raise RefusedError("there is no such way to sign in", status=404)
    if name == GITHUB:
        return Provider(
            name=name,
            issuer=settings.github_url.rstrip("/"),
            client_id=settings.github_client_id or "",
            client_secret=_plain(settings.github_client_secret),
            authorize_url=f"{settings.github_url.rstrip('/')}/login/oauth/authorize",
            token_url=f"{settings.github_url.rstrip('/')}/login/oauth/access_token",
            user_url=f"{settings.github_api_url.rstrip('/')}/user",
            scope="",
            keys_url=None,
        )
    issuer = settings.huggingface_url.rstrip("/")
    told = _get(TITLES[name], f"{issuer}/.well-known/openid-configuration")
    if str(told.get("issuer", "")).rstrip("/") != issuer:
        raise ProviderError(TITLES[name], "it calls itself by another address")
    return Provider(
        name=name,
        issuer=str(told["issuer"]),
        client_id=settings.huggingface_client_id or "",
        client_secret=_plain(settings.huggingface_client_secret),
        authorize_url=_https_like(issuer, told, "authorization_endpoint"),
        token_url=_https_like(issuer, told, "token_endpoint"),
        user_url=_https_like(issuer, told, "userinfo_endpoint"),
        scope="openid profile",
        keys_url=_https_like(issuer, told, "jwks_uri"),
    )


def begin() -> Kept:
    """Choose what a new sign-in keeps."""
    return Kept(secrets.token_urlsafe(48), secrets.token_urlsafe(24))


def authorize_url(provider: Provider, redirect_url: str, state: str, kept: Kept) -> str:
    """Write the address at which the provider asks its user."""
    extra = {} if provider.keys_url is None else {"nonce": kept.nonce}
    with _client(provider, redirect_url) as client:
        url, _ = client.create_authorization_url(
            provider.authorize_url, state=state, code_verifier=kept.verifier, **extra
        )
    return str(url)


def finish(provider: Provider, redirect_url: str, code: str, kept: Kept) -> Identity:
    """Find out whose account it is.

    Raises:
        ProviderError: the provider does not confirm it.
    """
    try:
        with _client(provider, redirect_url) as client:
            token = client.fetch_token(
                provider.token_url,
                code=code,
                code_verifier=kept.verifier,
                headers={"Accept": "application/json"},
            )
            subject = None if provider.keys_url is None else _read_id_token(provider, token, kept.nonce)
            answer = client.get(provider.user_url, headers={"Accept": "application/json"})
            user = answer.raise_for_status().json()
    except (AuthlibBaseError, JoseError, httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProviderError(provider.title, type(error).__name__) from None
    if provider.keys_url is None:
        subject = str(user["id"]) if isinstance(user.get("id"), int) else None
        name = user.get("login")
    else:
        name = user.get("preferred_username") or user.get("name") or user.get("sub")
        if user.get("sub") != subject:
            raise ProviderError(provider.title, "it names two accounts")
    if not subject:
        raise ProviderError(provider.title, "it names no account")
    printed = "".join(character for character in str(name or "") if character.isprintable())[:_NAME_LENGTH].strip()
    return Identity(provider.issuer, subject, printed or f"{provider.title} {subject}"[:_NAME_LENGTH])


def _read_id_token(provider: Provider, token: Mapping[str, Any], nonce: str) -> str:
    """Check an ID token by the provider's keys; return the account that it is about."""
    keys = KeySet.import_key_set(_get(provider.title, provider.keys_url or ""))  # type: ignore[arg-type]
    read = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS)
    registry = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
        exp={"essential": True},
    )
    registry.validate(read.claims)
    return str(read.claims["sub"])


def _client(provider: Provider, redirect_url: str) -> OAuth2Client:
    return OAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        scope=provider.scope,
        redirect_uri=redirect_url,
        code_challenge_method="S256",
        timeout=_SECONDS,
    )


def _get(title: str, url: str) -> dict[str, Any]:
    try:
        answer = httpx.get(url, timeout=_SECONDS, headers={"Accept": "application/json"}).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderError(title, type(error).__name__) from None
    if not isinstance(answer, dict):
        raise ProviderError(title, "it answers something else")
    return answer


def _https_like(issuer: str, told: Mapping[str, Any], name: str) -> str:
    """Return an address that the provider tells; it has to be as safe as the provider's own."""
    url = str(told.get(name, ""))
    if urlsplit(url).scheme not in ("https", urlsplit(issuer).scheme):
        raise ProviderError(TITLES[HUGGING_FACE], f"its {name} is missing or not safe")
    return url


def _plain(secret: Any) -> str:
    return "" if secret is None else str(secret.get_secret_value())
