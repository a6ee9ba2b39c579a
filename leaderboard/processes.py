"""What the kernel does for our processes: it ends them with their parent, closes them to others, takes rights away."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Be told to stop when the parent is killed, which cannot tell anyone itself."""
    _call(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))


def close_to_others() -> None:
    """Let no other process without rights read this one's memory and environment, be it of the same user."""
    _call(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def drop_rights() -> None:
    """Give up every capability, for ever and for every program that is started from here; root keeps its name only."""
    _call(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for the lower and the upper 32
    _call(_libc.capset(header, none))


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
