"""`earthreason questions generate` and `retry`: the commands that ask models."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.options import JsonOption, MaxLeftOutOption, ShardOption, SourceArgument
from earthreason.cli.runs import (
    RecipeOption,
    RunArgument,
    check_name,
    describe_plan,
    open_run,
    print_summary,
)
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

if TYPE_CHECKING:
    from earthreason.data.sources import Source
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.pipeline import GenerationRun, RunConfig, RunOutcome
    from earthreason.questions.servers.client import ModelClient
    from earthreason.questions.servers.pricing import Prices

LEFT = 3
"""Exit code of a run that leaves samples without questions."""
_INTERRUPTED = "interrupted"
_CONCEPTS = "concepts"
"""Setting of a run: what may be absent, as found at its beginning."""


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
    base_url: Annotated[
        str | None,
        typer.Option(help="Address of an OpenAI-compatible server.", show_default="$OPENAI_BASE_URL, or OpenAI"),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent requests.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Time limit of a request in seconds.")] = 120.0,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature of every request.")] = None,
    max_tokens: Annotated[
        int,
        typer.Option(min=50, help="Maximum number of tokens in an answer; a higher one asks again what was cut off."),
    ] = 2000,
    param: Annotated[
        list[str] | None, typer.Option(help="Further parameter of every request, as KEY=VALUE; repeat for several.")
    ] = None,
    rpm: Annotated[float | None, typer.Option(min=0.01, help="Maximum number of requests a minute.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Maximum number of tokens a minute.")] = None,
    empty_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of samples asked about something absent.",
            show_default="200 in 5,434; 0 with --no-images",
        ),
    ] = None,
    unseen_empties: Annotated[
        bool,
        typer.Option("--unseen-empties", help="With --no-images, ask about something absent that nobody looks for."),
    ] = False,
    concepts: Annotated[
        Path | None,
        typer.Option(
            help="File with what may be absent, one concept per line.",
            show_default="the 28 official categories and those of SRC",
        ),
    ] = None,
    language: Annotated[
        str, typer.Option(help="Language of questions and answers: name, ISO 639-1 code, or NAME/CODE.")
    ] = "English",
    votes: Annotated[int, typer.Option(min=1, help="Number of times that the judge is asked; most votes decide.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for choosing the samples of --empty-share, and what may be absent.")
    ] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of samples.")] = None,
    max_usd: Annotated[
        float | None, typer.Option(min=0, help="Budget in US dollars; the run stops before exceeding it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and cost; send nothing.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Use the Batch API: collect finished answers, submit the other requests.")
    ] = False,
    prompt_dir: Annotated[
        Path | None, typer.Option(help="Folder with your own prompts, see `earthreason questions prompts`.")
    ] = None,
    retry_batches: Annotated[
        bool, typer.Option("--retry-batches", help="Submit again after three batches failed in a row.")
    ] = False,
    prices: Annotated[Path | None, typer.Option(help="JSON file with your own prices.")] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            help="Price as IN,OUT or IN,OUT,CACHED, US dollars per million tokens; with MODEL= before it for one model."
        ),
    ] = None,
    recipe: RecipeOption = None,
    max_left_out: MaxLeftOutOption = None,
    shard: ShardOption = None,
    json_out: JsonOption = None,
) -> None:
    """Generate implicit questions and answers for images with masks. Needs OPENAI_API_KEY; no answer is paid for twice.

    Exits with 3 if samples are left without questions: quarantined, waiting for a batch, or beyond the budget.

    Example: earthreason questions generate data/release --out run --dry-run

    Example: earthreason questions generate data/release --out run --max-usd 20
    """
    from earthreason.data.omissions import Tolerance
    from earthreason.data.reader import open_source
    from earthreason.data.sources.base import omissions_of
    from earthreason.data.sources.ranges import PartOfSource
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.merging import keep_shard
    from earthreason.questions.migration import MAIN
    from earthreason.questions.pipeline import RunConfig, RunOutcome
    from earthreason.questions.prompting.concepts import OFFICIAL, read_concepts
    from earthreason.questions.prompting.languages import parse_language
    from earthreason.questions.prompting.prompts import load_prompts
    from earthreason.questions.recipe import keep_recipe, keep_source, recipe_of
    from earthreason.questions.servers.address import server_address
    from earthreason.questions.servers.parameters import merge_parameters
    from earthreason.questions.servers.pricing import load_prices
    from earthreason.questions.stages import StageConfig
    from earthreason.shards import Shard

    part = Shard.of_option(shard)
    check_name("--model", model)
    check_name("--rewrite-model", rewrite_model)
    check_name("--judge-model", judge_model)
    check_name("--recipe", recipe)
    if temperature is not None and not math.isfinite(temperature):
        raise EarthReasonError(f"--temperature {temperature}: not a number that a server takes")
    base_url = server_address(base_url)
    judge = None if no_judge else judge_model or model
    parameters = {"max_tokens": max_tokens, **({} if temperature is None else {"temperature": temperature})}
    parameters = merge_parameters(parameters, param or [])
    stages = StageConfig(
        model,
        rewrite_model or model,
        judge,
        load_prompts(prompt_dir),
        images=not no_images,
        votes=votes,
        language=parse_language(language),
        parameters=parameters,
    )
    known = OFFICIAL if concepts is None else read_concepts(concepts)
    config = RunConfig(stages, empty_share, unseen_empties, known, seed, max_usd, limit, base_url)
    table = load_prices(prices, price or [], list(filter(None, stages.models.values())))
    if not dry_run:
        config.check_budget(table)  # before the run gets a folder
    opened = open_source(source, Tolerance.of_options(share=max_left_out))
    asked = opened if part is None else PartOfSource(opened, part)
    total = min(sum(asked.counts.values()), limit or 10**12)
    for line in describe_plan(config, table):
        typer.echo(line, err=True)
    if dry_run:
        _print_estimate(asked, config, table, total, json_out)
        return

    from earthreason.questions.language import require_language
    from earthreason.questions.servers.client import ClientConfig, ModelClient

    require_language()
    settings = ClientConfig(
        base_url=base_url, concurrency=concurrency, timeout=timeout, requests_a_minute=rpm, tokens_a_minute=tpm
    )
    client = ModelClient(settings, table)
    ledger = Ledger(out / "ledger.sqlite", recipe or MAIN)
    with ledger.locked():
        keep_shard(ledger, part)
        if concepts is None and config.can_be_absent:
            config = replace(config, concepts=_known_concepts(opened, ledger))
        keep_recipe(ledger, recipe_of(config, base_url))
        keep_source(ledger, source)
        try:
            work = _advance(asked, config, ledger, client, total, retry_batches) if batch else None
            outcome = asyncio.run(work or _generate(asked, config, ledger, client, total))
        except asyncio.CancelledError:
            outcome = RunOutcome(stopped=_INTERRUPTED, interrupted=True)
    if report_json(json_out, ledger.summary()):
        print_summary(ledger)
    unread = omissions_of(opened)
    if unread:
        typer.echo(f"{unread.summary()}. The first: {unread.first_message}", err=True)
    _say_what_is_left(ledger, outcome, out, total, bool(unread))


def _known_concepts(opened: Source, ledger: Ledger) -> tuple[str, ...]:
    """Return what may be absent from images of a source; it is read through for its categories once a run."""
    from earthreason.questions.prompting.concepts import pool_of

    known = ledger.setting(_CONCEPTS)
    if known is None:
        with progress_bar(total=sum(opened.counts.values()), unit="image", desc="categories") as bar:
            known = pool_of(opened, bar.update)
        ledger.remember(_CONCEPTS, known)
    return tuple(known)


def _say_what_is_left(ledger: Ledger, outcome: RunOutcome, out: Path, total: int, unread: bool) -> None:
    """Say why samples are left without questions, and exit with the code that says so."""
    if outcome.interrupted:
        summary = ledger.summary()
        answers = sum(row["calls"] for row in summary["stages"])
        done = summary["samples"].get("done", 0)
        typer.echo(
            f"interrupted: {count_of(answers, 'answer')} (${summary['usd']:.4f}) kept, and {done} of "
            f"{count_of(total, 'sample')} done; the same command continues",
            err=True,
        )
        raise typer.Exit(130)
    if outcome.stopped:
        typer.echo(outcome.stopped, err=True)
    if outcome.quarantined:
        reasons = f"`earthreason questions status {out} --quarantine` says why"
        typer.echo(f"quarantined: {outcome.quarantined:,} of {count_of(total, 'sample')}; {reasons}", err=True)
    if unread or not outcome.complete:
        raise typer.Exit(LEFT)


async def _advance(
    opened: Source, config: RunConfig, ledger: Ledger, client: ModelClient, total: int, retry: bool
) -> RunOutcome:
    from earthreason.questions.batches.batch import advance

    async with client:
        step = await advance(opened, config, ledger, client, retry)
    states = "; ".join(f"{name} {state}" for name, state in step.running.items()) or "none running"
    typer.echo(
        f"{count_of(step.collected, 'answer')} collected, {count_of(step.submitted, 'request')} submitted; "
        f"batches: {states}; "
        f"{step.outcome.done:,} of {count_of(total, 'sample')} done"
    )
    return step.outcome


async def _generate(opened: Source, config: RunConfig, ledger: Ledger, client: ModelClient, total: int) -> RunOutcome:

    from earthreason.questions.pipeline import GenerationRun

    with progress_bar(total=total, unit="image", desc="questions") as bar:

        def show(outcome: RunOutcome) -> None:
            finished = outcome.done + outcome.quarantined
            bar.update(finished - bar.n)
            spent = ledger.spent()
            expected = spent / finished * total if finished else 0
            bar.set_postfix_str(f"${spent:.2f} of about ${expected:.2f}, {outcome.quarantined} quarantined")

        async with client:
            run = GenerationRun(config, ledger, client)
            with _drained(run):
                return await run.generate(opened, show)


@contextmanager
def _drained(run: GenerationRun) -> Iterator[None]:
    """At the first Ctrl-C, let the run wait for what is in flight; at the second, cancel it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if run.is_stopping:
            task.cancel()
            return
        run.stop(_INTERRUPTED)
        typer.echo(
            f"\n{_INTERRUPTED}: waiting for {count_of(run.in_flight, 'answer')}; Ctrl-C again stops at once", err=True
        )

    # In the background of a script, shells start commands that ignore interrupts; threads and Windows have no handlers.
    handled = signal.getsignal(signal.SIGINT) != signal.SIG_IGN
    try:
        if handled:
            loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError, ValueError):
        handled = False
    try:
        yield
    finally:
        if handled:
            loop.remove_signal_handler(signal.SIGINT)


def retry(
    run: RunArgument,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Ask again about the samples that are quarantined.")
    ] = False,
    recipe: RecipeOption = None,
) -> None:
    """Set answers aside, so that the next `generate` asks for them again. What they cost stays counted.

    Example: earthreason questions retry run --quarantined
    """
    from earthreason.questions.quarantine import set_aside_quarantined

    if not quarantined:
        raise EarthReasonError("say what to ask again: --quarantined")
    ledger = open_run(run, recipe)
    with ledger.locked():
        samples, calls = set_aside_quarantined(ledger)
    typer.echo(
        f"{count_of(samples, 'sample')}, {count_of(calls, 'answer')} set aside; "
        "the next `earthreason questions generate` asks again"
    )


def _print_estimate(opened: Source, config: RunConfig, prices: Prices, total: int, json_out: Path | None) -> None:
    from earthreason.questions.estimate import estimate
    from earthreason.questions.servers.pricing import describe_unpriced
    from earthreason.reports.tables import new_table, print_table

    with progress_bar(total=total, unit="image", desc="estimating") as bar:
        stages = estimate(opened, config, prices, bar.update)
    if not report_json(json_out, {"prices_as_of": prices.as_of, "stages": [asdict(stage) for stage in stages]}):
        return
    table = new_table("stage", "model", numbers=("calls", "input tokens", "output tokens", "US$"))
    for stage in stages:
        money = "no price" if stage.usd is None else f"{stage.usd:.2f}"
        numbers = [f"{value:,}" for value in (stage.calls, stage.input_tokens, stage.output_tokens)]
        table.add_row(stage.stage, stage.model, *numbers, money)
    print_table(table, stdout())
    unpriced = sorted({stage.model for stage in stages if stage.usd is None})
    if unpriced:
        money = f"total: unknown, {'; '.join(map(describe_unpriced, unpriced))}"
    else:
        batch = sum((stage.usd or 0) * price.batch for stage in stages if (price := prices.of(stage.model)))
        money = f"about ${sum(stage.usd or 0 for stage in stages):.2f} (${batch:.2f} with --batch)"
    typer.echo(f"{money}; prices as of {prices.as_of}: check them, or give --prices")
