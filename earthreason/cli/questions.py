"""`earthreason questions`: generate, retry, status, export, validate, review-out, review-in, prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli import generation, prompts
from earthreason.cli.app import report_json, stdout
from earthreason.cli.data import open_given
from earthreason.cli.options import JsonOption, ReportOption, SampleLimitOption, SourceArgument, SourceConfigOption
from earthreason.cli.runs import RecipeOption, RunArgument, open_run, print_summary
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from earthreason.questions.settlement import LeftOut

app = typer.Typer(help="Generate, validate and review implicit questions.", no_args_is_help=True, rich_markup_mode=None)
_LISTED = 5
app.command()(generation.generate)
app.command()(generation.retry)
app.add_typer(prompts.app, name="prompts")


@app.command()
def status(
    run: RunArgument,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="List the quarantined samples and why.")] = False,
    recipe: RecipeOption = None,
    json_out: JsonOption = None,
) -> None:
    """Show the progress and cost of a run, and the share of questions that reviewers accepted.

    Example: earthreason questions status run --quarantine
    """
    from earthreason.questions.checks import not_applied
    from earthreason.questions.quarantine import list_quarantine
    from earthreason.questions.reviews import acceptance

    ledger = open_run(run, recipe)
    samples = list_quarantine(ledger) if quarantine else []
    listed = {"quarantine": [sample._asdict() for sample in samples]} if quarantine else {}
    language = str((ledger.stored_recipe() or {}).get("language", "English/en"))
    told = {"language": language, "checks_not_applied": not_applied(language.partition("/")[2])}
    if report_json(json_out, {**ledger.summary(), **told, "acceptance": acceptance(ledger), **listed}):
        print_summary(ledger)
        for sample in samples:
            typer.echo(f"{sample.split} {sample.sample_id}: {sample.reason}")


@app.command()
def export(
    run: RunArgument,
    form: Annotated[
        str, typer.Option("--format", help="Format to write: release, parquet, coco, webdataset or jsonl.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, or with --format jsonl a file.")],
    recipe: RecipeOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Write only the first finished samples of each split, at most so many.")
    ] = None,
) -> None:
    """Write the finished samples with their new questions.

    Example: earthreason questions export run --format parquet --out regenerated
    """
    from earthreason.data.exports import FORMATS
    from earthreason.data.exports import export as export_source
    from earthreason.data.limited import limit_samples
    from earthreason.data.reader import open_source
    from earthreason.questions.recipe import source_of
    from earthreason.questions.results import Regenerated, write_results
    from earthreason.questions.settlement import left_out

    if form not in (*FORMATS, "jsonl"):
        raise UnknownNameError("format", form, [*FORMATS, "jsonl"])
    ledger = open_run(run, recipe)
    if form == "jsonl":
        if limit is not None:
            raise EarthReasonError("--limit is for datasets; --format jsonl writes all results")
        settled = write_results(ledger, out)
        count, omitted, gone = sum(bool(sample.texts) for sample in settled.values()), left_out(settled), 0
    else:
        regenerated = Regenerated(open_source(source_of(ledger)), ledger)
        shown = regenerated if limit is None else limit_samples(regenerated, limit)
        count = sum(export_source(shown, form, out).values())
        omitted, gone = regenerated.left_out, 0 if limit else regenerated.count - count
    typer.echo(f"{out}: {count_of(count, 'sample')}")
    if gone:
        lost = count_of(gone, "finished sample is", "finished samples are")
        typer.echo(f"{lost} left out: no longer in the source")
    print_left_out(omitted, stdout())


def print_left_out(omitted: LeftOut, console: Console) -> None:
    """Print the samples and questions that an export leaves out because of their reviews."""
    for names, noun, reason in (
        (omitted.rejected, "sample", "left out because every question was rejected"),
        (omitted.disputed, "sample", "left out because reviewers disagree about the remaining questions"),
        (omitted.questions, "question", "left out because reviewers disagree; a further verdict decides"),
    ):
        if names:
            rest = ", ..." if len(names) > _LISTED else ""
            listed = f"{', '.join(names[:_LISTED])}{rest}"
            console.print(f"{count_of(len(names), noun)} {reason}: {listed}", soft_wrap=True, markup=False)


@app.command()
def validate(
    source: SourceArgument,
    config: SourceConfigOption = None,
    limit: SampleLimitOption = None,
    json_out: JsonOption = None,
    report: ReportOption = None,
    fail_on: Annotated[
        list[str] | None, typer.Option(help="Exit with 1 if this check has findings; 'any' means every check.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of the texts: name, ISO 639-1 code, or NAME/CODE.",
            show_default="that of the run which generated them, or English",
        ),
    ] = None,
) -> None:
    """Check questions and answers against rules, for example that no question names its category.

    Example: earthreason questions validate sample --report checks --fail-on names-category
    """
    from earthreason.data.limited import limit_samples
    from earthreason.questions.prompting.languages import parse_language
    from earthreason.questions.validate import check_names
    from earthreason.questions.validate import validate as validate_source
    from earthreason.reports.questions import print_validation, write_validation

    fatal = check_names(fail_on or [])
    spoken = None if language is None else parse_language(language).code
    whole = open_given(source, config)
    opened = whole if limit is None else limit_samples(whole, limit)
    with progress_bar(total=sum(opened.counts.values()), unit="sample", desc="reading") as bar:
        validation = validate_source(opened, bar.update, spoken)
    if report_json(json_out, validation.to_dict()):
        print_validation(validation, stdout())
    if report is not None:
        typer.echo(f"page: {write_validation(report, validation)}", err=True)
    failed = [name for name in fatal if validation.by_check()[name]]
    if failed:
        typer.echo(f"failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


@app.command("review-out")
def review_out(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="JSONL file to write.")],
    recipe: RecipeOption = None,
) -> None:
    """Write all generated questions to a file for reviewers.

    Example: earthreason questions review-out run --out review.jsonl
    """
    from earthreason.questions.reviews import write_review

    typer.echo(f"{out}: {count_of(write_review(open_run(run, recipe), out), 'question')}")


@app.command("review-in")
def review_in(
    run: RunArgument,
    reviewed: Annotated[Path, typer.Argument(help="JSONL file with verdicts.")],
    recipe: RecipeOption = None,
) -> None:
    """Read verdicts into a run: accept, edit (with the new text), reject or unsure.

    Example: earthreason questions review-in run review.jsonl
    """
    from earthreason.questions.reviews import acceptance, read_review

    if not reviewed.is_file():
        raise DataNotFoundError(f"there is no file {reviewed}")
    ledger = open_run(run, recipe)
    read = read_review(ledger, reviewed)
    typer.echo(", ".join(f"{verdict} {count}" for verdict, count in read.verdicts.items()) or "no verdicts")
    if read.replaced:
        typer.echo(f"{read.replaced} of them are about texts that the run no longer has, and change nothing")
    for name, rate in acceptance(ledger).items():
        typer.echo(f"{name}: {rate['accepted']:.0%} of {rate['reviewed']:g} accepted")
