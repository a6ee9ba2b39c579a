"""The commands for data: download, verify, export, show, stats, browse."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import command_line, report_json, stdout
from earthreason.cli.completions import complete_format
from earthreason.cli.merge import merge_command
from earthreason.cli.options import (
    CORES,
    JsonOption,
    MaxLeftOutOption,
    OutFolder,
    ProcessesOption,
    ReportOption,
    SampleLimitOption,
    ShardOption,
    SourceArgument,
    SourceConfigOption,
    StrictOption,
    refuse_file_early,
)
from earthreason.errors import EarthReasonError
from earthreason.files import refuse_taken
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

if TYPE_CHECKING:
    from earthreason.data.audit.verify import Audit
    from earthreason.data.omissions import Tolerance
    from earthreason.data.sources import Source


def download(
    to: Annotated[
        Path,
        typer.Option(
            help="Folder for the download; complete files are not downloaded again.", callback=refuse_file_early
        ),
    ],
    repository: Annotated[
        str, typer.Option("--repo", help="Dataset repository on the Hub.")
    ] = "earth-insights/EarthReason",
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch.")] = None,
) -> None:
    """Download the official release from the Hub, unpack it safely and print its location.

    Example: earthreason download --to data
    """
    from earthreason.data.download import download_release

    folder = download_release(to, repository, revision)
    counts = ", ".join(f"{split} {count}" for split, count in folder.counts.items())
    typer.echo(f"{folder.release}: {counts}; revision {folder.revision}")
    typer.echo(f"use it: export EARTHREASON_DATA={shlex.quote(str(folder.release.absolute()))}")
    typer.echo(f"next: {command_line('earthreason', 'verify', folder.release)}")


def verify(
    source: SourceArgument,
    config: SourceConfigOption = None,
    limit: SampleLimitOption = None,
    workers: ProcessesOption = CORES,
    json_out: JsonOption = None,
    report: ReportOption = None,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Only compare the downloaded archives with the Hub's checksums.")
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option(help="Progress file, from which an interrupted audit resumes.", show_default="in the data cache"),
    ] = None,
    shard: ShardOption = None,
) -> None:
    """Audit samples: pairing, sizes, labels, contradictions, duplicates, leakage. Exit with 1 on errors.

    Example: earthreason verify data/release --report audit
    """
    from earthreason.data.checksums import compare_download
    from earthreason.reports.audit import print_audit, write_audit

    if checksums:
        faults = dict(compare_download(Path(source).expanduser()))
        for name, fault in faults.items():
            typer.echo(f"{name}: {fault or 'as on the Hub'}")
        if any(faults.values()):
            raise EarthReasonError(
                "fetch the broken files again: earthreason download --to FOLDER, with the same folder"
            )
        return
    if limit is not None and (shard or journal):
        option = "--shard" if shard else "--journal"
        raise EarthReasonError(f"--limit looks at some samples once, and {option} all files of a release; choose one")
    if shard is not None:
        _read_part(source, config, shard, workers, journal)
        return
    result = _audit(source, config, workers, journal, limit)
    if report_json(json_out, result.to_dict()):
        print_audit(result, stdout())
    if report is not None:
        typer.echo(f"page: {write_audit(report, result)}", err=True)
    if result.errors:
        raise typer.Exit(1)


def open_given(source: str, config: str | None, tolerance: Tolerance | None = None) -> Source:
    """Open the samples that a command reads: a configuration, or a folder or file as `config` or what its files say."""
    from earthreason.data.reader import open_as, open_source
    from earthreason.data.sources.base import SampleSource

    if config is None:
        return open_source(source, tolerance)
    opened = open_as(config, Path(source).expanduser())
    if isinstance(opened, SampleSource) and tolerance is not None:
        opened.tolerance = tolerance
    return opened


def _first(opened: Source, limit: int | None) -> Source:
    from earthreason.data.limited import limit_samples

    return opened if limit is None else limit_samples(opened, limit)


def _read_part(source: str, config: str | None, shard: str, workers: int, journal: Path | None) -> None:
    """Read one part of the files of a release into a journal."""
    from earthreason.data.audit.verify import read_part
    from earthreason.data.sources.release import Release
    from earthreason.shards import Shard

    part = Shard.parse(shard)
    if journal is None:
        raise EarthReasonError("--shard needs --journal FILE.jsonl, where the part keeps what it read")
    opened = open_given(source, config)
    if not isinstance(opened, Release):
        raise EarthReasonError(f"--shard divides the files of a release; {opened.name} is audited by one process")
    with progress_bar(unit="file", desc=f"reading {part}") as bar:
        count = read_part(Path(source).expanduser(), part, journal, workers, bar.update)
    typer.echo(f"{journal}: {count_of(count, 'file')}, part {part}\nmerge all: {merge_command(journal, part)}")


def _audit(source: str, config: str | None, workers: int, journal: Path | None, limit: int | None) -> Audit:
    """Audit the files of a release, or the records of any other source, or of the first samples."""
    from earthreason.data.audit.records import audit_source
    from earthreason.data.audit.verify import audit
    from earthreason.data.configs import prepared_root
    from earthreason.data.sources.release import Release

    path = Path(source).expanduser()
    opened = open_given(source, config)
    if limit is not None or not isinstance(opened, Release):
        chosen = _first(opened, limit)
        with progress_bar(total=sum(chosen.counts.values()), unit="sample", desc="auditing") as bar:
            found = audit_source(chosen, path, bar.update)
        return found if limit is None else replace(found, published={}, published_empty=None)
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    with progress_bar(unit="file", desc="auditing") as bar:
        return audit(path, workers, journal or prepared_root() / "verify" / f"{key}.jsonl", bar.update)


def export(
    source: SourceArgument,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Format to write: parquet, hub, release, coco or webdataset.",
            autocompletion=complete_format,
        ),
    ],
    out: OutFolder,
    push_to: Annotated[str | None, typer.Option(help="Also upload to this dataset repository on the Hub.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    title: Annotated[str | None, typer.Option(help="Title on the dataset card and in the metadata.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence on the dataset card and in the metadata, such as CC-BY-4.0.")
    ] = None,
    config: SourceConfigOption = None,
    limit: SampleLimitOption = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
    shard: ShardOption = None,
) -> None:
    """Write samples in another format, with title and licence.

    `hub` writes a dataset repository for the Hugging Face Hub; `parquet` adds Croissant metadata.

    Example: earthreason export sample --format coco --out sample-coco
    """
    from earthreason.data.exports import about_of, check_push, export_part, push_to_hub
    from earthreason.data.exports import export as export_source
    from earthreason.data.omissions import LEFT_OUT, Tolerance
    from earthreason.data.sources.base import omissions_of
    from earthreason.shards import Shard

    part = Shard.of_option(shard)
    if push_to is not None and part is not None:
        raise EarthReasonError("--push-to uploads the whole; merge the parts, then: hf upload NAME FOLDER")
    if push_to is not None:
        check_push(push_to)
    whole = open_given(source, config, Tolerance.of_options(strict, max_left_out))
    about, opened = about_of(whole).stated(title, licence), _first(whole, limit)
    if part is not None:
        with progress_bar(unit="sample", desc=f"{form} {part}") as bar:
            rows = export_part(opened, form, out, part, bar.update, about)
        listed = ", ".join(f"{split} {count}" for split, count in rows.items())
        typer.echo(f"{out}: {listed}; part {part}\nmerge all: {merge_command(out, part)}")
        return
    with progress_bar(total=sum(opened.counts.values()), unit="sample", desc=form) as bar:
        written = export_source(opened, form, out, bar.update, about)
    typer.echo(f"{out}: {', '.join(f'{split} {count}' for split, count in written.items())}")
    if omissions := omissions_of(opened):
        typer.echo(f"left out: {len(omissions)}, listed in {out / LEFT_OUT}", err=True)
    if push_to is not None:
        typer.echo(f"uploaded: {push_to_hub(out, push_to, private)}")


def show(
    source: SourceArgument,
    sample_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="IDs of the samples to draw.", show_default="one with a target"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Picture to write: .png, .pdf or .svg.", show_default="ID.png")
    ] = None,
    config: SourceConfigOption = None,
) -> None:
    """Draw samples: image, mask, outline, questions and answers. Without an ID, draw one and say which.

    Example: earthreason show sample

    Example: earthreason show sample synthetic_s7_test_000003 --out sample.png
    """
    from earthreason.data.reader import choose_record, find_records
    from earthreason.reports.samples import draw_samples

    opened = open_given(source, config)
    if sample_ids:
        records = find_records(opened, sample_ids)
        chosen = [records[sample_id] for sample_id in sample_ids]
    else:
        chosen = [choose_record(opened)]
    path = out or Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '_', chosen[0][1].sample_id)}.png")
    draw_samples([record for _, record in chosen], path)
    if not sample_ids:
        split, record = chosen[0]
        typer.echo(f"sample: {record.sample_id} of {split}; give other IDs after {source}")
    typer.echo(f"picture: {path}")


def stats(
    source: SourceArgument,
    out: OutFolder,
    config: SourceConfigOption = None,
    limit: SampleLimitOption = None,
    json_out: JsonOption = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
) -> None:
    """Write a page of statistics: target area, image size, GSD, text length, empty targets, categories and more.

    Example: earthreason stats sample --out figures
    """
    from earthreason.data.exports import about_of
    from earthreason.data.omissions import Tolerance
    from earthreason.data.origin import is_official
    from earthreason.data.stats import collect
    from earthreason.reports.figures import draw_figures, print_statistics

    refuse_taken(out)
    whole = open_given(source, config, Tolerance.of_options(strict, max_left_out))
    opened = _first(whole, limit)
    with progress_bar(total=sum(opened.counts.values()), unit="sample", desc="reading") as bar:
        statistics = collect(opened, bar.update)
    statistics.is_official = is_official(whole.counts, about_of(whole))
    page = draw_figures(statistics, out, title=Path(source).name or source)
    if report_json(json_out, statistics.to_dict()):
        print_statistics(statistics, stdout())
        typer.echo(f"page: {page}")


def browse(
    source: SourceArgument,
    out: OutFolder,
    config: SourceConfigOption = None,
    limit: SampleLimitOption = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
) -> None:
    """Write a static gallery of all samples, with filters; it works offline.

    Example: earthreason browse sample --out gallery
    """
    from earthreason.data.omissions import Tolerance
    from earthreason.reports.browse import write_gallery

    refuse_taken(out)
    opened = _first(open_given(source, config, Tolerance.of_options(strict, max_left_out)), limit)
    with progress_bar(total=sum(opened.counts.values()), unit="sample", desc="drawing") as bar:
        page = write_gallery(opened, out, bar.update)
    typer.echo(f"page: {page}")
