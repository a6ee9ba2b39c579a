"""Say in one line why the Hub did not give or take a repository, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Any, Literal

from earthreason.plurals import count_of

_NETWORK = ("requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")
"""Packages whose exceptions without a response mean that no server answered."""


def explain(
    error: BaseException, repository: str, revision: str | None = None, kind: Literal["dataset", "model"] = "dataset"
) -> str:
    """Return the reason for an exception of `huggingface_hub` and its remedy, in one line."""
    from huggingface_hub import constants

    endpoint = constants.ENDPOINT
    page = f"{endpoint}/{repository}" if kind == "model" else f"{endpoint}/datasets/{repository}"
    status, code, headers, sent_token = _response(error)
    kinds = {type(link).__name__ for link in _chain(error)}
    if any(isinstance(link, OSError) and link.errno == errno.ENOSPC for link in _chain(error)):
        return "the disk is full; free some space, or choose another disk with --to, cache_dir= or HF_HOME"
    if "HFValidationError" in kinds:
        return f"{repository!r} is not the id of a repository; write OWNER/NAME"
    if code == "GatedRepo" or "GatedRepoError" in kinds:
        logged_in = "then log in with `hf auth login` or pass token="
        remedy = "your token's account has no access yet (403)" if status == 403 else logged_in
        return f"the repository is gated; ask for access in a browser at {page}, {remedy}"
    if code == "RevisionNotFound" or "RevisionNotFoundError" in kinds:
        listing = f"{page}/commits/main lists the commits"
        return f"there is no revision {revision!r} in it; {listing}; without a revision you get the newest"
    if status == 401 and sent_token:
        return "the Hub does not accept your token (401); make a new one and log in with `hf auth login`"
    if status in (401, 404):
        return (
            f"there is no such repository, or it is private ({status}); check the name {repository!r}, "
            "and log in with `hf auth login` or pass token= if it is private"
        )
    if status == 403:
        if not sent_token:
            return "access is refused (403); log in with `hf auth login`, or check the proxy or mirror in between"
        return f"your token has no right to do this (403); change its rights at {endpoint}/settings/tokens"
    if status == 429:
        reset = re.search(r"\bt=(\d+)", headers.get("RateLimit", ""))  # the Hub's own header, in seconds
        wait = headers.get("Retry-After") or (reset[1] if reset else "")
        pause = (
            f"wait {count_of(int(wait), 'second')}"
            if wait.isdecimal()
            else f"wait until {wait}"
            if wait
            else "wait some minutes"
        )
        return f"you have reached the Hub's limit of requests (429); {pause} and try again, or log in for a higher one"
    if status is not None and status >= 500:
        return f"the Hub fails at the moment ({status}); try again later"
    if is_offline() or "OfflineModeIsEnabled" in kinds:
        return (
            "the network is switched off (HF_HUB_OFFLINE, or local_files_only), and the cache has no complete copy of "
            f"revision {revision or 'main'!r}; switch the network on to download it"
        )
    if any(_is_network(link) for link in _chain(error)):
        return f"no answer from {endpoint} ({_first_line(error)}); check the network, or set HF_ENDPOINT to a mirror"
    return f"{type(error).__name__}: {_first_line(error)}; try again, or set HF_ENDPOINT to a mirror"


def may_use_cache(error: BaseException) -> bool:
    """Return whether a copy in the cache may stand in: the Hub is busy or fails, or the network is off."""
    status, code, *_ = _response(error)
    if status is not None or code:
        return status == 429 or (status or 0) >= 500
    return is_offline() or any(_is_network(link) for link in _chain(error))


def is_broken_transfer(error: BaseException) -> bool:
    """Return whether a file arrived incomplete, so that asking once more helps."""
    broken = ("ChunkedEncodingError", "IncompleteRead", "ProtocolError", "RemoteProtocolError")
    return any(type(link).__name__ in broken or "Consistency check failed" in str(link) for link in _chain(error))


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE is set, as `huggingface_hub` read it."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _is_network(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.split(".")[0] in _NETWORK


def _response(error: BaseException) -> tuple[int | None, str, Any, bool]:
    """Return status, X-Error-Code and headers of the answer behind the exception, and whether a token was sent."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        if response is not None:
            sent = response.request is not None and "Authorization" in response.request.headers
            return response.status_code, response.headers.get("X-Error-Code", ""), response.headers, sent
    return None, "", {}, False


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
