"""Devices and dtypes by their command-line names, constant tensors cached per device, and freed memory kept."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

from earthreason.errors import EarthReasonError

from .processes import this_rank

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


AUTO = "auto"
_log = logging.getLogger("earthreason.baselines")


def resolve_device(name: str) -> str:
    """Return the name of a device; for `auto`, of this process's GPU by CUDA, else of Apple's, else `cpu`; log it."""
    if name != AUTO:
        return name
    rank = this_rank()
    if torch.cuda.is_available():
        chosen = f"cuda:{rank.local}" if rank.count > 1 else "cuda"
        label = f" ({torch.cuda.get_device_name(chosen)})"
    elif torch.backends.mps.is_available():
        chosen, label = "mps", ""
    else:
        chosen, label = "cpu", ": torch sees no GPU"
    _log.info("device: %s%s", chosen, label)
    return chosen


def find_device(name: str) -> torch.device:
    """Return a device after allocating on it, so that a wrong name is reported before weights are read.

    Args:
        name: name that torch knows, or `auto`, see `resolve_device`.

    Raises:
        EarthReasonError: torch does not know the device, or cannot use it here.
    """
    name = resolve_device(name)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if name.startswith("cuda"):
            reason = f"torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here"
            remedy = "install a GPU build of torch"
        else:
            reason, remedy = str(error).splitlines()[0], "choose another device"
        raise EarthReasonError(f"--device {name}: {reason}; {remedy}, or use --device cpu") from None
    return device


P = ParamSpec("P")


def cached_constant(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Cache a function that makes a tensor from hashable arguments, including its device.

    The tensor is made outside inference mode, so that one cached during evaluation can be used in training.
    """

    @lru_cache(maxsize=256)
    def made(*arguments: P.args, **keywords: P.kwargs) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return make(*arguments, **keywords)

    @wraps(make)
    def lookup(*arguments: P.args, **keywords: P.kwargs) -> Tensor:
        if torch.compiler.is_compiling():  # the compiler cannot trace a cache
            return make(*arguments, **keywords)
        return made(*arguments, **keywords)  # type: ignore[arg-type]

    return lookup


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the settings in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Let this process reuse the memory of freed tensors on the CPU, instead of returning it to the system each time.

    By default, glibc returns blocks of several megabytes at once, and the system then clears every page of the next
    tensor. Does nothing with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows has no such handle; macOS and musl have no such function
        return
    mallopt(_MMAP_THRESHOLD, 2**25)  # glibc's maximum
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
