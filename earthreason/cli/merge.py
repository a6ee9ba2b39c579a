"""`earthreason merge`: make one result of the parts that `--shard` wrote."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line
from earthreason.plurals import count_of
from earthreason.shards import Shard


def merge_command(part_file: Path, part: Shard) -> str:
    """Write the command that merges all parts, for a shell: the parts are named as this one, but for its number.

    A name with the number never or twice does not tell the names of the others: words in capitals stand for them.

    >>> merge_command(Path("my parts/preds-2.json"), Shard(2, 4))
    "earthreason merge 'my parts/preds-'*.json --out 'my parts/preds.json'"
    >>> merge_command(Path("b.json"), Shard(2, 4))
    'earthreason merge b.json OTHER... --out WHOLE.json'
    """
    name = part_file.name
    numbers = [found for found in re.finditer(r"[0-9]+", name) if int(found[0]) == part.number]
    if len(numbers) != 1:
        return f"earthreason merge {shlex.quote(str(part_file))} OTHER... --out WHOLE{part_file.suffix}"
    before, after = name[: numbers[0].start()], name[numbers[0].end() :]
    whole = part_file.with_name(f"{before.rstrip('-_. ') or 'whole'}{after}")
    folder = "" if part_file.parent == Path() else f"{part_file.parent}/"
    ends = (end and shlex.quote(end) for end in (folder + before, after))
    return f"earthreason merge {'*'.join(ends)} --out {shlex.quote(str(whole))}"


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
        typer.echo(f"{out}: {count_of(merge_runs(parts, out), 'sample')}")
        typer.echo(f"state: {command_line('earthreason', 'questions', 'status', out)}")
    elif is_part(parts[0]):
        written = merge_parts(parts, out)
        typer.echo(f"{out}: {', '.join(f'{split} {count}' for split, count in written.items())}")
    elif is_counts(parts[0]):
        typer.echo(f"{out}: counts of {count_of(merge_counts(parts, out), 'part')}")
        typer.echo(f"score them: {command_line('earthreason-eval', out)}")
    elif is_journal(parts[0]):
        typer.echo(f"{out}: {count_of(merge_journals(parts, out), 'file')}")
        typer.echo(f"audit: earthreason verify SRC --journal {shlex.quote(str(out))}")
    else:
        typer.echo(f"{out}: {count_of(merge_predictions(parts, out), 'prediction')}")
        typer.echo(f"score them: {command_line('earthreason-eval', out)}")
