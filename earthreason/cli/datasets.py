"""`earthreason datasets`: list every set that can be loaded, and what of it is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.completions import complete_config
from earthreason.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from earthreason.data.catalogue import DataSet

_WIDE = 160
"""Width in characters from which the table has the URLs too."""


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(help="Set to describe in full.", show_default="list all", autocompletion=complete_config),
    ] = None,
    json_out: JsonOption = None,
) -> None:
    """List every set that can be loaded: size, licence, paper, how to get it, and what is at hand.

    At hand is what was prepared before, and what is in the folder EARTHREASON_DATA.

    Example: earthreason datasets rrsis-d
    """
    from earthreason.data.catalogue import get_set, list_sets

    sets = list_sets() if name is None else [get_set(name)]
    if not report_json(json_out, [listed.to_dict() for listed in sets]):
        return
    console = stdout()
    if name is None:
        _print_table(sets, console)
    else:
        _print_facts(sets[0], console)


def _print_table(sets: list[DataSet], console: Console) -> None:
    from earthreason.reports.tables import new_table, print_table

    wide = console.width >= _WIDE
    table = new_table()
    table.add_column("set", no_wrap=True)
    table.add_column("train / val / test", no_wrap=True)
    for column in ("licence", "paper", "get it from", "at hand") if wide else ("licence", "at hand"):
        table.add_column(column, overflow="fold")
    for listed in sets:
        urls = [listed.paper or "", listed.how_to_get or ""] if wide else []
        licence = listed.about.licence.partition(";")[0]
        table.add_row(listed.name, _sizes(listed.splits), licence, *urls, _at_hand(listed))
    print_table(table, console)
    console.print("Paper, terms, files and how to get a set: earthreason datasets NAME")
    console.print("Load one: --config NAME --data-dir FOLDER")


def _print_facts(listed: DataSet, console: Console) -> None:
    about = listed.about
    facts = {
        "samples": _counts(listed.splits),
        "files": listed.form,
        "licence": about.licence,
        "origin": about.origin,
        "paper": listed.paper,
        "citation": about.citation,
        "get it from": listed.how_to_get,
        "revision": listed.revision,
        "variants": ", ".join(listed.variants),
        "at hand": _at_hand(listed),
        "found": listed.found,
    }
    console.print(f"[bold]{listed.name}[/bold]: {about.title}")
    for title, value in facts.items():
        if value:
            console.print(f"  {title}: {value}", markup=False, soft_wrap=True)
    for prepared in listed.prepared:
        console.print(f"  prepared: {prepared.folder} ({_counts(prepared.samples)})", markup=False, soft_wrap=True)


def _counts(splits: Mapping[str, int] | None) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in splits.items()) if splits else "unknown"


def _sizes(splits: Mapping[str, int] | None) -> str:
    from earthreason.data.schema import SPLITS

    return " / ".join(f"{splits[split]:,}" if split in splits else "-" for split in SPLITS) if splits else "unknown"


def _at_hand(listed: DataSet) -> str:
    parts = ["found"] if listed.found else []
    if listed.prepared:
        parts.append("prepared" if len(listed.prepared) == 1 else f"prepared ({len(listed.prepared)})")
    return ", ".join(parts) or "no"
