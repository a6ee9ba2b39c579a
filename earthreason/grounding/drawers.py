"""Load what makes masks of regions: a Segment Anything of earthreason-baselines."""

from __future__ import annotations

from importlib import import_module

from earthreason.errors import EarthReasonError
from earthreason.grounding.scoring import Drawer
from earthreason.installing import install_command

_DISTRIBUTION = "earthreason-baselines"
_PACKAGES = ("earthreason_baselines", "baselines")
"""Its import names: as installed, and in a checkout."""


def load_drawer(checkpoint: str, device: str = "cpu") -> Drawer:
    """Load a SAM or SAM 2, which calculates in float32.

    Args:
        checkpoint: folder or Hub id, in the form of transformers.
        device: where it runs: cpu, cuda, ...

    Raises:
        EarthReasonError: a module of `earthreason-baselines` is not installed, the checkpoint cannot be loaded,
            or the device is not available.
    """
    missing = _DISTRIBUTION
    for package in _PACKAGES:
        module = f"{package}.vlm_sam.masks"
        try:
            masks = import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):  # the package is there, but not what it needs
                missing = f"the module {error.name}"
                break
            continue
        drawer: Drawer = masks.load_mask_maker(checkpoint, device, "float32")
        return drawer
    raise EarthReasonError(f"SAM needs {missing}: {install_command(_DISTRIBUTION)}, or leave SAM out")
