"""`earthreason questions prompts`: list, show, export and compare the prompts of question generation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import stdout

app = typer.Typer(
    help="List, show, export and compare the prompts of `generate`.", no_args_is_help=True, rich_markup_mode=None
)
NameArgument = Annotated[str, typer.Argument(help="Name of a prompt, see `list`.")]
VersionOption = Annotated[
    str | None, typer.Option(help="Version; a folder of prompts works too.", show_default="newest")
]


@app.command("list")
def list_prompts() -> None:
    """List the prompts with their versions.

    Example: earthreason questions prompts list
    """
    from earthreason.questions.prompting.prompts import load_prompts
    from earthreason.questions.prompting.versions import versions
    from earthreason.reports.tables import new_table, print_table

    table = new_table("prompt", "version", numbers=("examples", "characters"))
    for prompt in load_prompts().values():
        size = f"{len(prompt.template):,}"
        table.add_row(prompt.name, prompt.identity, str(len(prompt.messages.examples)), size)
    print_table(table, stdout())
    typer.echo(f"versions: {', '.join(versions())}; `earthreason questions prompts diff` shows what changed")


@app.command()
def show(name: NameArgument, version: VersionOption = None) -> None:
    """Print a prompt.

    Example: earthreason questions prompts show judge
    """
    from earthreason.errors import DataNotFoundError
    from earthreason.questions.prompting.versions import text_at

    text = text_at(name, version)
    if not text:
        raise DataNotFoundError(f"there is no prompt {name} in {version}")
    typer.echo(text, nl=False)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must be absent or empty.")],
    version: VersionOption = None,
) -> None:
    """Write the prompts into a folder, to edit them and give it to `generate` as --prompt-dir.

    Example: earthreason questions prompts export my-prompts
    """
    from earthreason.errors import DataFormatError
    from earthreason.questions.prompting.prompts import load_prompts
    from earthreason.questions.prompting.versions import export_prompts

    written = export_prompts(folder, version)
    names = ", ".join(path.name for path in written)
    try:
        load_prompts(folder)
    except DataFormatError:
        typer.echo(f"{folder}: {names}; to read only, `generate` takes prompts since version 2")
    else:
        typer.echo(f"{folder}: {names}; edit them, and give --prompt-dir {folder}")


@app.command()
def diff(
    name: Annotated[str | None, typer.Argument(help="Name of a prompt.", show_default="all")] = None,
    old: Annotated[
        str | None, typer.Option("--from", help="Version or folder to compare from.", show_default="the one before")
    ] = None,
    new: Annotated[
        str | None, typer.Option("--to", help="Version or folder to compare to.", show_default="newest")
    ] = None,
) -> None:
    """Show what differs between two versions or folders of the prompts, as a unified diff.

    Example: earthreason questions prompts diff judge

    Example: earthreason questions prompts diff --from 2 --to my-prompts
    """
    from earthreason.questions.prompting.prompts import NAMES
    from earthreason.questions.prompting.versions import check_name, diff_prompts

    names = NAMES if name is None else (check_name(name),)
    for line in diff_prompts(names, old, new):
        typer.echo(line)
