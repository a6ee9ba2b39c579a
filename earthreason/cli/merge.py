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
    from earthreason.data.audit.verify import is_journal, merge_journals
    from earthreason.data.writers.parquet import is_part, merge_parts
    from earthreason.metrics.counted import is_counts, merge_counts
    from earthreason.predictions.merge import merge_predictions
    from earthreason.questions.merging import is_run, merge_runs

    if is_run(parts[0]):
        typer.echo(f"{out}: {merge_runs(parts, out)} samples\nstate: earthreason questions status {out}")
    elif is_part(parts[0]):
        written = merge_parts(parts, out)
        typer.echo(f"{out}: {', '.join(f'{split} {count}' for split, count in written.items())}")
    elif is_counts(parts[0]):
        typer.echo(f"{out}: counts of {merge_counts(parts, out)} parts\nscore them: earthreason-eval {out}")
    elif is_journal(parts[0]):
        typer.echo(f"{out}: {merge_journals(parts, out)} files\naudit: earthreason verify SRC --journal {out}")
    else:
        typer.echo(f"{out}: {merge_predictions(parts, out)} predictions\nscore them: earthreason-eval {out}")
