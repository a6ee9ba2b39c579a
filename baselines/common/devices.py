"""The devices a model may run on, by the names the command line uses."""

from __future__ import annotations

import torch

from earthreason.errors import EarthReasonError


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
