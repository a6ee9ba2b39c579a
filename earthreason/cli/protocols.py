"""`earthreason protocols`: explain the published evaluators."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.completions import complete_protocol
from earthreason.cli.options import JsonOption


def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Protocol to explain.", show_default="all", autocompletion=complete_protocol)
    ] = None,
    json_out: JsonOption = None,
) -> None:
    """Explain the scoring rules of every published evaluator.

    Example: earthreason protocols segearth-r1
    """
    from earthreason.metrics.protocols import PROTOCOLS, get_protocol
    from earthreason.reports.rules import describe_rules

    chosen = list(PROTOCOLS.values()) if name is None else [get_protocol(name)]
    listed = [{**asdict(rules), "grid": rules.grid.name} for rules in chosen]
    for entry in listed:
        del entry["rank"]  # the list is in this order
    if not report_json(json_out, listed):
        return
    console = stdout()
    for rules in chosen:
        console.print(f"[bold]{rules.name}[/bold]: {rules.title}")
        console.print(f"  {rules.explanation}")
        console.print(f"  rules: {describe_rules(rules)}")
        console.print(f"  unanswered: {rules.missing}")
        if rules.configs:
            console.print(f"  scores by authors of: {', '.join(rules.configs)}")
        console.print(f"  paper: {rules.paper}\n  evaluator: {rules.evaluator}\n")
