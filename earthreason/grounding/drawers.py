"""Load what makes masks of regions: a Segment Anything of earthreason-baselines."""

from __future__ import annotations

from importlib import import_module

from earthreason.errors import EarthReasonError
from earthreason.grounding.scoring import Drawer
from earthreason.installing import import_name, install_command

_DISTRIBUTION = "earthreason-baselines"


def load_drawer(checkpoint: str, device: str = "cpu") -> Drawer:
    """Load a SAM or SAM 2, which calculates in float32.

    Args:
        checkpoint: folder or Hub id, in the form of transformers.
        device: where it runs: cpu, cuda, ...

    Raises:
        EarthReasonError: a module of `earthreason-baselines` is not installed, the checkpoint cannot be loaded,
            or the device is not available.
    """
    module = f"{import_name(_DISTRIBUTION)}.vlm_sam.masks"
    try:
        masks = import_module(module)
    except ModuleNotFoundError as error:
        absent = f"{module}.".startswith(f"{error.name}.")  # otherwise it is there, but not what it needs
        missing = _DISTRIBUTION if absent else f"the module {error.name}"
        remedy = install_command(_DISTRIBUTION)
        raise EarthReasonError(f"SAM needs {missing}: {remedy}, or leave SAM out") from None
    drawer: Drawer = masks.load_mask_maker(checkpoint, device, "float32")
    return drawer
