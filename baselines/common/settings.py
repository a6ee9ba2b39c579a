"""Read YAML files of keys and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from earthreason.errors import EarthReasonError
from earthreason.files import read_text


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML file; an empty one has no keys.

    Raises:
        DataFormatError: the file is not UTF-8 text.
        EarthReasonError: it is not YAML, or has something else than keys and values.
    """
    try:
        values: Any = yaml.safe_load(read_text(path)) or {}
    except yaml.YAMLError as error:
        raise EarthReasonError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise EarthReasonError(f"{path}: expected keys and values")
    return values
