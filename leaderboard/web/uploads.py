"""Receive a predictions file: write it to disk piece by piece, hash it on the way, and enforce the size limit."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import IO

import anyio
from sqlalchemy.orm import Session

from ..submissions import RefusedError, own_submission, receive
from ..tables import Submission
from ..tokens import Caller
from .state import State

_AT_ONCE = 1 << 20


async def spool(pieces: AsyncIterator[bytes], most: int) -> tuple[IO[bytes], str, int]:
    """Write pieces to a temporary file; return it, the SHA-256 of its content and its size.

    Raises:
        RefusedError: the content is larger than `most` bytes.
    """
    file = tempfile.SpooledTemporaryFile(_AT_ONCE)  # noqa: SIM115 - the caller closes it
    digest, size, waiting = hashlib.sha256(), 0, bytearray()

    def put() -> None:
        digest.update(waiting)
        file.write(waiting)
        waiting.clear()

    try:
        async for piece in pieces:
            size += len(piece)
            if size > most:
                raise RefusedError(f"the file is over {most >> 20} MiB", status=413)
            waiting += piece
            if len(waiting) >= _AT_ONCE:  # in a thread, so that a slow disk delays only this upload
                await anyio.to_thread.run_sync(put)
        await anyio.to_thread.run_sync(put)
    except BaseException:
        file.close()
        raise
    return file, digest.hexdigest(), size


async def pieces_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Read a file that the form parser has put on disk."""
    while piece := await anyio.to_thread.run_sync(file.read, 1 << 18):
        yield piece


async def store(
    state: State, caller: Caller, submission_id: str, file: IO[bytes], sha256: str, began: float
) -> Submission:
    """Store an uploaded file and queue its submission, in one transaction.

    Raises:
        RefusedError: see `receive`.
    """

    def run(session: Session) -> Submission:
        submission = own_submission(session, submission_id, caller)
        file.seek(0)
        receive(session, submission, file.read(), sha256, began)
        session.flush()
        session.refresh(submission)
        return submission

    with file:
        return await state.write(run)
