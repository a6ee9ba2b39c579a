"""What the shell completes after Tab. Nothing here may be slow, or fail."""

from __future__ import annotations

from collections.abc import Iterable


def names_beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """List the names that begin with what is typed."""
    return [name for name in names if name.startswith(incomplete)]


def complete_config(incomplete: str) -> list[str]:
    """Complete names of configurations; where none fits, the shell completes files."""
    from earthreason.data.configs import CONFIGS

    return names_beginning(CONFIGS, incomplete)


def complete_split(incomplete: str) -> list[str]:
    """Complete names of splits."""
    return names_beginning(("train", "validation", "test"), incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Complete names of protocols."""
    from earthreason.metrics.protocols import PROTOCOLS

    return names_beginning((*PROTOCOLS, "all"), incomplete)


def complete_format(incomplete: str) -> list[str]:
    """Complete formats of exports."""
    from earthreason.data.exports import FORMATS

    return names_beginning(FORMATS, incomplete)
