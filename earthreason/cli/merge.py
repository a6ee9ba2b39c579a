"""`earthreason merge`: make one result of the parts that `--shard` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="All files, or all folders, of one job.")],
    out: Annotated[Path, typer.Option(help="File or folder to write: the whole, as one process would have made it.")],
) -> None:
    """Merge the parts that commands wrote with --shard: predictions, counts, audits, exports and question runs.

    Example: earthreason merge preds-*.json --out preds.json

    Example: earthreason merge counts-*.parquet --out counts.parquet
    """
    from earthreason.predictions.merge import merge_predictions

    typer.echo(f"{out}: {merge_predictions(parts, out)} predictions\nscore them: earthreason-eval {out}")
