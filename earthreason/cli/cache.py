"""`earthreason cache`: list and remove prepared copies of datasets."""

from __future__ import annotations

from typing import Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.options import JsonOption
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of


def cache(
    prune: Annotated[bool, typer.Option("--prune", help="Remove copies that are outdated or unfinished.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all copies; they are made again when needed.")] = False,
    json_out: JsonOption = None,
) -> None:
    """List prepared copies and unpacked archives in the cache, or remove them. Your own data is never touched.

    Example: earthreason cache --prune
    """
    from earthreason.data.configs import prepared_root
    from earthreason.data.copies import list_copies, remove
    from earthreason.reports.cache import megabytes, print_copies

    if prune and clear:
        raise EarthReasonError("--prune and --clear exclude each other; --clear removes everything")
    copies = list_copies()
    if not prune and not clear:
        if report_json(json_out, {"folder": str(prepared_root()), "copies": [copy.to_dict() for copy in copies]}):
            print_copies(copies, prepared_root(), stdout())
        return
    removed = remove([copy for copy in copies if clear or copy.state in ("outdated", "unfinished")])
    if report_json(json_out, {"removed": [copy.to_dict() for copy in removed]}):
        typer.echo(
            f"removed {len(removed):,} of {count_of(len(copies), 'copy')}, "
            f"{megabytes(sum(copy.size for copy in removed))}"
        )
