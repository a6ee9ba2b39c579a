"""What the shell completes after Tab for `earthreason-baselines`."""

from __future__ import annotations

from pathlib import Path

from earthreason.cli.completions import names_beginning

from .registry import MODELS, assembled_models, convertible_models, trainable_models


def complete_model(incomplete: str) -> list[str]:
    """Complete names of models."""
    return names_beginning(MODELS, incomplete)


def complete_trainable(incomplete: str) -> list[str]:
    """Complete names of models that can be trained."""
    return names_beginning(trainable_models(), incomplete)


def complete_convertible(incomplete: str) -> list[str]:
    """Complete names of models whose published weights can be converted."""
    return names_beginning(convertible_models(), incomplete)


def complete_assembled(incomplete: str) -> list[str]:
    """Complete names of models that can be built from parts."""
    return names_beginning(assembled_models(), incomplete)


def complete_settings(incomplete: str) -> list[str]:
    """Complete names of shipped settings of training; where none fits, the shell completes files."""
    folder = Path(__file__).with_name("configs")
    paths = (path.relative_to(folder).with_suffix("") for path in sorted(folder.glob("*/*.yaml")))
    return names_beginning((path.as_posix() for path in paths), incomplete)


def complete_dtype(incomplete: str) -> list[str]:
    """Complete data types of weights."""
    return names_beginning(("float32", "bfloat16", "float16"), incomplete)


def complete_device(incomplete: str) -> list[str]:
    """Complete kinds of devices; which are there only torch can say, and it takes seconds to import."""
    return names_beginning(("auto", "cpu", "cuda", "mps"), incomplete)
