"""`earthreason questions ...`: generate, status, export, validate, review."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stderr, stdout
from earthreason.cli.data import SourceArgument
from earthreason.cli.options import JsonOption
from earthreason.errors import DataNotFoundError

if TYPE_CHECKING:
    from rich.console import Console

    from earthreason.data.sources import Source
    from earthreason.questions.client import ClientConfig
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.pipeline import RunConfig
    from earthreason.questions.pricing import Prices
    from earthreason.questions.settlement import LeftOut

app = typer.Typer(help="Generate and validate implicit questions.", no_args_is_help=True, rich_markup_mode=None)
_LISTED = 5
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of `questions generate`.")]


@app.command()
def generate(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", help="Run directory; an unfinished run in it is continued.")],
    model: Annotated[str, typer.Option("--model", help="Vision model used at every stage.")] = "gpt-4o",
    rewrite_model: Annotated[
        str | None, typer.Option("--rewrite-model", help="Text model that rewords the questions.")
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option("--judge-model", help="Vision model that judges the questions.")
    ] = None,
    no_judge: Annotated[bool, typer.Option("--no-judge", help="Skip the judge.")] = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="Send hints without images, for text models.")] = False,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Address of an OpenAI-compatible server.")] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Largest number of requests in flight.")] = 8,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds a request may take.")] = 120.0,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Sampling temperature of every request.")
    ] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=50, help="Most tokens of an answer.")] = 2000,
    empty_share: Annotated[
        float | None,
        typer.Option(
            "--empty-share",
            min=0,
            max=1,
            help="Share of samples asked about something absent.",
            show_default="200 in 5,434",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed that chooses those samples.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Largest number of samples.")] = None,
    max_usd: Annotated[
        float | None, typer.Option("--max-usd", min=0, help="Stop before more than this is spent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="CostEstimate tokens and money; ask nothing.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Batch API: collect finished answers, submit the rest.")
    ] = False,
    prompt_dir: Annotated[Path | None, typer.Option("--prompt-dir", help="Folder of your own prompts.")] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="Your own price table (JSON).")] = None,
    json_out: JsonOption = None,
) -> None:
    """Generate implicit questions and answers for images with masks. Needs OPENAI_API_KEY; no answer is paid for twice.

    Example: earthreason questions generate data/release --out run --dry-run

    Example: earthreason questions generate data/release --out run --max-usd 20
    """
    from earthreason.data.reader import open_source
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.pipeline import EMPTY_SHARE, RunConfig
    from earthreason.questions.pricing import load_prices
    from earthreason.questions.prompts import load_prompts
    from earthreason.questions.stages import StageConfig

    judge = None if no_judge else judge_model or model
    parameters = {"max_tokens": max_tokens, **({} if temperature is None else {"temperature": temperature})}
    stages = StageConfig(
        model, rewrite_model or model, judge, load_prompts(prompt_dir), images=not no_images, parameters=parameters
    )
    share = EMPTY_SHARE if empty_share is None else empty_share
    config, table = RunConfig(stages, share, seed, max_usd, limit), load_prices(prices)
    opened = open_source(source)
    if dry_run:
        _print_estimate(opened, config, table, json_out)
        return
    from earthreason.questions.client import ClientConfig, ModelClient

    ledger = Ledger(out / "ledger.sqlite")
    ledger.remember("source", str(Path(source).resolve()) if Path(source).exists() else source)
    total = min(sum(opened.counts.values()), limit or 10**12)
    settings = ClientConfig(base_url=base_url, concurrency=concurrency, timeout=timeout)
    if batch:
        from earthreason.questions.batch import advance

        async def go() -> None:
            async with ModelClient(settings, table) as client:
                progress = await advance(opened, config, ledger, client)
            states = "; ".join(f"{name} {state}" for name, state in progress.running.items()) or "none running"
            stdout().print(
                f"{progress.collected} answers collected, {progress.submitted} requests submitted; batches: "
                f"{states}; {progress.outcome.done} of {total} samples done",
                soft_wrap=True,
            )
            if progress.outcome.stopped:
                stderr().print(progress.outcome.stopped, soft_wrap=True)

        asyncio.run(go())
    else:
        _generate(opened, config, ledger, settings, table, total)
    if report_json(json_out, ledger.summary()):
        print_summary(ledger)


def _generate(
    opened: Source, config: RunConfig, ledger: Ledger, settings: ClientConfig, table: Prices, total: int
) -> None:
    from tqdm import tqdm

    from earthreason.questions.client import ModelClient
    from earthreason.questions.pipeline import GenerationRun, RunOutcome

    with tqdm(total=total, unit="image", desc="questions") as bar:

        def show(outcome: RunOutcome) -> None:
            finished = outcome.done + outcome.quarantined
            bar.update(finished - bar.n)
            spent = ledger.spent()
            whole = spent / finished * total if finished else 0
            bar.set_postfix_str(f"${spent:.2f} of about ${whole:.2f}, {outcome.quarantined} quarantined")

        async def go() -> RunOutcome:
            async with ModelClient(settings, table) as client:
                return await GenerationRun(config, ledger, client).generate(opened, show)

        outcome = asyncio.run(go())
    if outcome.stopped:
        stderr().print(outcome.stopped, soft_wrap=True)


def _print_estimate(opened: Source, config: RunConfig, prices: Prices, json_out: Path | None) -> None:
    from dataclasses import asdict

    from rich.table import Table
    from tqdm import tqdm

    from earthreason.questions.estimate import estimate

    with tqdm(total=sum(opened.counts.values()), unit="image", desc="estimating") as bar:
        found = estimate(opened, config, prices, bar.update)
    if not report_json(json_out, {"prices_as_of": prices.as_of, "stages": [asdict(entry) for entry in found]}):
        return
    table = Table("stage", "model", "calls", "input tokens", "output tokens", "US$")
    for entry in found:
        money = "no price" if entry.usd is None else f"{entry.usd:.2f}"
        numbers = [f"{value:,}" for value in (entry.calls, entry.input_tokens, entry.output_tokens)]
        table.add_row(entry.stage, entry.model, *numbers, money)
    console = stdout()
    console.print(table)
    unpriced = sorted({entry.model for entry in found if entry.usd is None})
    if unpriced:
        money = f"total: unknown, there is no price for {', '.join(unpriced)}"
    else:
        money = f"about ${sum(entry.usd or 0 for entry in found):.2f} (half with --batch)"
    console.print(f"{money}; prices as of {prices.as_of}: check them, or give --prices", soft_wrap=True)


@app.command()
def status(run: RunArgument, json_out: JsonOption = None) -> None:
    """Show what a run has done and spent, and how many questions reviewers accepted.

    Example: earthreason questions status run
    """
    from earthreason.questions.results import acceptance

    ledger = open_run(run)
    if report_json(json_out, {**ledger.summary(), "acceptance": acceptance(ledger)}):
        print_summary(ledger)


@app.command()
def export(
    run: RunArgument,
    form: Annotated[str, typer.Option("--format", help="release, parquet, coco, webdataset or jsonl.")],
    out: Annotated[Path, typer.Option("--out", help="Folder (or .jsonl file) to write.")],
) -> None:
    """Write the finished samples with their new questions.

    Example: earthreason questions export run --format parquet --out regenerated
    """
    import json

    from earthreason.data.exports import export as export_source
    from earthreason.data.reader import open_source
    from earthreason.files import write_text
    from earthreason.questions.results import Regenerated, settled_results
    from earthreason.questions.settlement import left_out

    ledger = open_run(run)
    if form == "jsonl":
        results, settled = settled_results(ledger)
        rows = [{"split": split, **vars(result)} for split, result in results]
        write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        stdout().print(f"{out}: {len(rows)} samples", soft_wrap=True)
        print_left_out(left_out(settled), stdout())
        return
    regenerated = Regenerated(open_source(ledger.setting("source")), ledger)
    export_source(regenerated, form, out)
    stdout().print(f"{out}: {sum(regenerated.counts.values())} samples", soft_wrap=True)
    print_left_out(regenerated.left_out, stdout())


def print_left_out(found: LeftOut, console: Console) -> None:
    """Name what reviewers left out of an export."""
    for names, reason in (
        (found.rejected, "samples left out, every question was rejected"),
        (found.disputed, "samples left out, reviewers disagree about their last questions"),
        (found.questions, "questions left out, reviewers disagree; a further verdict decides"),
    ):
        if names:
            rest = ", ..." if len(names) > _LISTED else ""
            console.print(f"{len(names)} {reason}: {', '.join(names[:_LISTED])}{rest}", soft_wrap=True, markup=False)


@app.command()
def validate(
    source: SourceArgument,
    json_out: JsonOption = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML page into this folder.")] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="Exit with 1 if this check finds anything; 'any' means all.")
    ] = None,
) -> None:
    """Check the questions and answers of a dataset with rules, such as that no question names its category.

    Example: earthreason questions validate sample --report checks --fail-on names-category
    """
    from tqdm import tqdm

    from earthreason.data.reader import open_source
    from earthreason.questions.validate import check_names
    from earthreason.questions.validate import validate as validate_source
    from earthreason.reports.questions import print_validation, write_validation

    fatal = check_names(fail_on or [])
    opened = open_source(source)
    with tqdm(total=sum(opened.counts.values()), unit="sample", desc="reading") as bar:
        found = validate_source(opened, bar.update)
    if report_json(json_out, found.to_dict()):
        print_validation(found, stdout())
    if report is not None:
        stderr().print(f"page: {write_validation(report, found)}", soft_wrap=True)
    failed = [name for name in fatal if found.by_check()[name]]
    if failed:
        stderr().print(f"failed: {', '.join(failed)}", soft_wrap=True)
        raise typer.Exit(1)


@app.command("review-out")
def review_out(run: RunArgument, out: Annotated[Path, typer.Option("--out", help="JSONL file to write.")]) -> None:
    """Write all generated questions to a file for reviewers.

    Example: earthreason questions review-out run --out review.jsonl
    """
    from earthreason.questions.results import write_review

    stdout().print(f"{out}: {write_review(open_run(run), out)} questions", soft_wrap=True)


@app.command("review-in")
def review_in(run: RunArgument, reviewed: Annotated[Path, typer.Argument(help="JSONL with verdicts.")]) -> None:
    """Read verdicts into a run: accept, edit (with the new text), reject or unsure.

    Example: earthreason questions review-in run review.jsonl
    """
    from earthreason.questions.results import acceptance, read_review

    if not reviewed.is_file():
        raise DataNotFoundError(f"there is no file {reviewed}")
    ledger = open_run(run)
    counts = read_review(ledger, reviewed)
    stdout().print(
        ", ".join(f"{verdict} {count}" for verdict, count in counts.items()) or "no verdicts", soft_wrap=True
    )
    for name, rate in acceptance(ledger).items():
        stdout().print(f"{name}: {rate['accepted']:.0%} of {rate['reviewed']:g} accepted", soft_wrap=True, markup=False)


def open_run(folder: Path) -> Ledger:
    """Open the ledger of a run directory.

    Raises:
        DataNotFoundError: the directory has no ledger.
    """
    from earthreason.questions.ledger import Ledger

    path = folder / "ledger.sqlite"
    if not path.is_file():
        raise DataNotFoundError(f"{folder} is no run directory: it has no ledger.sqlite (made by `questions generate`)")
    return Ledger(path)


def print_summary(ledger: Ledger) -> None:
    """Print samples, calls, tokens and cost of a run."""
    from rich.table import Table

    summary = ledger.summary()
    table = Table("stage", "model", "prompt", "calls", "quarantined", "input tokens", "output tokens", "US$")
    for row in summary["stages"]:
        numbers = [f"{row[name]:,}" for name in ("calls", "quarantined", "input_tokens", "output_tokens")]
        table.add_row(row["stage"], row["model"], row["prompt"], *numbers, f"{row['usd']:.4f}")
    console = stdout()
    console.print(table)
    samples = ", ".join(f"{status} {count}" for status, count in summary["samples"].items()) or "no sample finished"
    console.print(f"{samples}; ${summary['usd']:.4f} spent", soft_wrap=True)
