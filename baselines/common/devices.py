"""Devices and dtypes by the names the command line uses, and constant tensors that each device keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

from earthreason.errors import EarthReasonError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def find_device(name: str) -> torch.device:
    """A device that works here; asked for before weights are read.

    Raises:
        EarthReasonError: torch knows no such device, or has none here; says what to do.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if name.startswith("cuda"):
            reason = f"torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here"
            remedy = "install a GPU build of torch"
        else:
            reason, remedy = str(error).splitlines()[0], "name another device"
        raise EarthReasonError(f"--device {name}: {reason}; {remedy}, or use --device cpu") from None
    return device


P = ParamSpec("P")


def cached_constant(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Cache a function from hashable arguments, its device among them, to a tensor.

    The tensor is made outside inference mode and autocast, so that what an evaluation cached serves training too.
    """

    @lru_cache(maxsize=256)
    def made(*arguments: P.args, **keywords: P.kwargs) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return make(*arguments, **keywords)

    @wraps(make)
    def lookup(*arguments: P.args, **keywords: P.kwargs) -> Tensor:
        if torch.compiler.is_compiling():  # the compiler cannot look into a cache; it makes the tensor in its kernels
            return make(*arguments, **keywords)
        return made(*arguments, **keywords)  # type: ignore[arg-type]

    return lookup
