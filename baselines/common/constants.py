"""Tensors that depend on shapes only, computed once per device."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

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
