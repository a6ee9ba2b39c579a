"""`earthreason questions`: generate, status, export, validate, review-out, review-in."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.options import JsonOption, ReportOption, SourceArgument
from earthreason.errors import DataNotFoundError

if TYPE_CHECKING:
    from rich.console import Console

    from earthreason.data.sources import Source
    from earthreason.questions.client import ModelClient
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.pipeline import RunConfig
    from earthreason.questions.pricing import Prices
    from earthreason.questions.settlement import LeftOut

app = typer.Typer(help="Generate, validate and review implicit questions.", no_args_is_help=True, rich_markup_mode=None)
_LISTED = 5
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of `questions generate`.")]


@app.command()
def generate(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Run directory; an unfinished run in it is continued.")],
    model: Annotated[str, typer.Option(help="Vision model used at every stage.")] = "gpt-4o",
    rewrite_model: Annotated[
        str | None, typer.Option(help="Text model that rewords questions. Default: --model.")
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="Vision model that judges questions. Default: --model.")
    ] = None,
    no_judge: Annotated[bool, typer.Option("--no-judge", help="Skip the judge.")] = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="Send hints without images: for text models.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent requests.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Time limit of a request in seconds.")] = 120.0,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature of every request.")] = None,
    max_tokens: Annotated[int, typer.Option(min=50, help="Maximum number of tokens in an answer.")] = 2000,
    empty_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of samples with an absent target.", show_default="200 in 5,434"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for choosing the samples of --empty-share.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of samples.")] = None,
    max_usd: Annotated[
        float | None, typer.Option(min=0, help="Budget in US dollars; the run stops before exceeding it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and cost; send nothing.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Use the Batch API: collect finished answers, submit the other requests.")
    ] = False,
    prompt_dir: Annotated[Path | None, typer.Option(help="Folder with your own prompts.")] = None,
    prices: Annotated[Path | None, typer.Option(help="JSON file with your own prices.")] = None,
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
    total = min(sum(opened.counts.values()), limit or 10**12)
    if dry_run:
        _print_estimate(opened, config, table, total, json_out)
        return
    import asyncio

    from earthreason.questions.client import ClientConfig, ModelClient
    from earthreason.questions.language import require_language

    require_language()
    ledger = Ledger(out / "ledger.sqlite")
    ledger.remember("source", str(Path(source).resolve()) if Path(source).exists() else source)
    client = ModelClient(ClientConfig(base_url=base_url, concurrency=concurrency, timeout=timeout), table)
    stopped = asyncio.run((_advance if batch else _generate)(opened, config, ledger, client, total))
    if stopped:
        typer.echo(stopped, err=True)
    if report_json(json_out, ledger.summary()):
        print_summary(ledger)


async def _advance(opened: Source, config: RunConfig, ledger: Ledger, client: ModelClient, total: int) -> str:
    from earthreason.questions.batch import advance

    async with client:
        step = await advance(opened, config, ledger, client)
    states = "; ".join(f"{name} {state}" for name, state in step.running.items()) or "none running"
    typer.echo(
        f"{step.collected} answers collected, {step.submitted} requests submitted; batches: {states}; "
        f"{step.outcome.done} of {total} samples done"
    )
    return step.outcome.stopped


async def _generate(opened: Source, config: RunConfig, ledger: Ledger, client: ModelClient, total: int) -> str:
    from tqdm import tqdm

    from earthreason.questions.pipeline import GenerationRun, RunOutcome

    with tqdm(total=total, unit="image", desc="questions") as bar:

        def show(outcome: RunOutcome) -> None:
            finished = outcome.done + outcome.quarantined
            bar.update(finished - bar.n)
            spent = ledger.spent()
            expected = spent / finished * total if finished else 0
            bar.set_postfix_str(f"${spent:.2f} of about ${expected:.2f}, {outcome.quarantined} quarantined")

        async with client:
            outcome = await GenerationRun(config, ledger, client).generate(opened, show)
    return outcome.stopped


def _print_estimate(opened: Source, config: RunConfig, prices: Prices, total: int, json_out: Path | None) -> None:
    from rich.table import Table
    from tqdm import tqdm

    from earthreason.questions.estimate import estimate

    with tqdm(total=total, unit="image", desc="estimating") as bar:
        stages = estimate(opened, config, prices, bar.update)
    if not report_json(json_out, {"prices_as_of": prices.as_of, "stages": [asdict(stage) for stage in stages]}):
        return
    table = Table("stage", "model", "calls", "input tokens", "output tokens", "US$")
    for stage in stages:
        money = "no price" if stage.usd is None else f"{stage.usd:.2f}"
        numbers = [f"{value:,}" for value in (stage.calls, stage.input_tokens, stage.output_tokens)]
        table.add_row(stage.stage, stage.model, *numbers, money)
    stdout().print(table)
    unpriced = sorted({stage.model for stage in stages if stage.usd is None})
    if unpriced:
        money = f"total: unknown, there is no price for {', '.join(unpriced)}"
    else:
        money = f"about ${sum(stage.usd or 0 for stage in stages):.2f} (half with --batch)"
    typer.echo(f"{money}; prices as of {prices.as_of}: check them, or give --prices")


@app.command()
def status(run: RunArgument, json_out: JsonOption = None) -> None:
    """Show the progress and cost of a run, and the share of questions that reviewers accepted.

    Example: earthreason questions status run
    """
    from earthreason.questions.results import acceptance

    ledger = open_run(run)
    if report_json(json_out, {**ledger.summary(), "acceptance": acceptance(ledger)}):
        print_summary(ledger)


@app.command()
def export(
    run: RunArgument,
    form: Annotated[
        str, typer.Option("--format", help="Format to write: release, parquet, coco, webdataset or jsonl.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, or with --format jsonl a file.")],
) -> None:
    """Write the finished samples with their new questions.

    Example: earthreason questions export run --format parquet --out regenerated
    """
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
        count, omitted = len(rows), left_out(settled)
    else:
        regenerated = Regenerated(open_source(ledger.setting("source")), ledger)
        export_source(regenerated, form, out)
        count, omitted = sum(regenerated.counts.values()), regenerated.left_out
    typer.echo(f"{out}: {count} samples")
    print_left_out(omitted, stdout())


def print_left_out(omitted: LeftOut, console: Console) -> None:
    """Print the samples and questions that an export leaves out because of their reviews."""
    for names, reason in (
        (omitted.rejected, "samples left out because every question was rejected"),
        (omitted.disputed, "samples left out because reviewers disagree about their remaining questions"),
        (omitted.questions, "questions left out because reviewers disagree; a further verdict decides"),
    ):
        if names:
            rest = ", ..." if len(names) > _LISTED else ""
            console.print(f"{len(names)} {reason}: {', '.join(names[:_LISTED])}{rest}", soft_wrap=True, markup=False)


@app.command()
def validate(
    source: SourceArgument,
    json_out: JsonOption = None,
    report: ReportOption = None,
    fail_on: Annotated[
        list[str] | None, typer.Option(help="Exit with 1 if this check has findings; 'any' means every check.")
    ] = None,
) -> None:
    """Check questions and answers against rules, for example that no question names its category.

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
        validation = validate_source(opened, bar.update)
    if report_json(json_out, validation.to_dict()):
        print_validation(validation, stdout())
    if report is not None:
        typer.echo(f"page: {write_validation(report, validation)}", err=True)
    failed = [name for name in fatal if validation.by_check()[name]]
    if failed:
        typer.echo(f"failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


@app.command("review-out")
def review_out(run: RunArgument, out: Annotated[Path, typer.Option(help="JSONL file to write.")]) -> None:
    """Write all generated questions to a file for reviewers.

    Example: earthreason questions review-out run --out review.jsonl
    """
    from earthreason.questions.results import write_review

    typer.echo(f"{out}: {write_review(open_run(run), out)} questions")


@app.command("review-in")
def review_in(run: RunArgument, reviewed: Annotated[Path, typer.Argument(help="JSONL file with verdicts.")]) -> None:
    """Read verdicts into a run: accept, edit (with the new text), reject or unsure.

    Example: earthreason questions review-in run review.jsonl
    """
    from earthreason.questions.results import acceptance, read_review

    if not reviewed.is_file():
        raise DataNotFoundError(f"there is no file {reviewed}")
    ledger = open_run(run)
    counts = read_review(ledger, reviewed)
    typer.echo(", ".join(f"{verdict} {count}" for verdict, count in counts.items()) or "no verdicts")
    for name, rate in acceptance(ledger).items():
        typer.echo(f"{name}: {rate['accepted']:.0%} of {rate['reviewed']:g} accepted")


def open_run(folder: Path) -> Ledger:
    """Open the ledger of a run directory.

    Raises:
        DataNotFoundError: the directory has no ledger.
    """
    from earthreason.questions.ledger import Ledger

    path = folder / "ledger.sqlite"
    if not path.is_file():
        raise DataNotFoundError(f"{folder} is not a run directory of `questions generate`: it has no ledger.sqlite")
    return Ledger(path)


def print_summary(ledger: Ledger) -> None:
    """Print samples, calls, tokens and cost of a run."""
    from rich.table import Table

    summary = ledger.summary()
    table = Table("stage", "model", "prompt", "calls", "quarantined", "input tokens", "output tokens", "US$")
    for row in summary["stages"]:
        numbers = [f"{row[name]:,}" for name in ("calls", "quarantined", "input_tokens", "output_tokens")]
        table.add_row(row["stage"], row["model"], row["prompt"], *numbers, f"{row['usd']:.4f}")
    stdout().print(table)
    samples = ", ".join(f"{status} {count}" for status, count in summary["samples"].items()) or "no sample finished"
    typer.echo(f"{samples}; ${summary['usd']:.4f} spent")
