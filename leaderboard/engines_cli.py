"""Commands that need no server: bundles for other engines, and the results repository."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
