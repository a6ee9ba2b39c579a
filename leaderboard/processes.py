"""Process control with the kernel: end with the parent, protect memory, drop privileges."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Receive SIGTERM when the parent dies, even if it is killed."""
    _call(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))


def close_to_others() -> None:
    """Keep unprivileged processes, even of the same user, from reading our memory and environment."""
    _call(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def drop_rights() -> None:
    """Give up every capability for good, here and in every program started from here, even as root."""
    _call(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for the lower and the upper 32
    _call(_libc.capset(header, none))


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
