"""The commands for data: download, verify, export, show, stats, browse."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stdout
from earthreason.cli.options import (
    CORES,
    JsonOption,
    MaxLeftOutOption,
    OutFolder,
    ProcessesOption,
    ReportOption,
    ShardOption,
    SourceArgument,
    StrictOption,
)
from earthreason.errors import EarthReasonError
from earthreason.files import refuse_taken

if TYPE_CHECKING:
    from earthreason.data.audit.verify import Audit


def download(
    to: Annotated[Path, typer.Option(help="Folder for the download; complete files are not downloaded again.")],
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
    typer.echo(f"use it: export EARTHREASON_DATA={folder.release}\nnext: earthreason verify {folder.release}")


def verify(
    source: SourceArgument,
    config: Annotated[
        str | None, typer.Option(help="Dataset in the folder, such as 'gres'.", show_default="recognised by its files")
    ] = None,
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
    if shard is not None:
        _read_part(source, config, shard, workers, journal)
        return
    result = _audit(source, config, workers, journal)
    if report_json(json_out, result.to_dict()):
        print_audit(result, stdout())
    if report is not None:
        typer.echo(f"page: {write_audit(report, result)}", err=True)
    if result.errors:
        raise typer.Exit(1)


def _read_part(source: str, config: str | None, shard: str, workers: int, journal: Path | None) -> None:
    """Read one part of the files of a release into a journal."""
    from tqdm import tqdm

    from earthreason.data.audit.verify import read_part
    from earthreason.data.reader import open_as, open_source
    from earthreason.data.sources.release import Release
    from earthreason.shards import Shard

    part, path = Shard.parse(shard), Path(source).expanduser()
    if journal is None:
        raise EarthReasonError("--shard needs --journal FILE.jsonl, where the part keeps what it read")
    opened = open_source(source) if config is None else open_as(config, path)
    if not isinstance(opened, Release):
        raise EarthReasonError(f"--shard divides the files of a release; {opened.name} is audited by one process")
    with tqdm(unit="file", desc=f"reading {part}", disable=None) as bar:
        count = read_part(path, part, journal, workers, bar.update)
    typer.echo(f"{journal}: {count} files, part {part}; merge all: earthreason merge")


def _audit(source: str, config: str | None, workers: int, journal: Path | None) -> Audit:
    """Audit the files of a release, or the records of any other source."""
    from tqdm import tqdm

    from earthreason.data.audit.records import audit_source
    from earthreason.data.audit.verify import audit
    from earthreason.data.configs import prepared_root
    from earthreason.data.reader import open_as, open_source
    from earthreason.data.sources.release import Release

    path = Path(source).expanduser()
    opened = open_source(source) if config is None else open_as(config, path)
    if not isinstance(opened, Release):
        with tqdm(total=sum(opened.counts.values()), unit="sample", desc="auditing", disable=None) as bar:
            return audit_source(opened, path, bar.update)
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    with tqdm(unit="file", desc="auditing") as bar:
        return audit(path, workers, journal or prepared_root() / "verify" / f"{key}.jsonl", bar.update)


def export(
    source: SourceArgument,
    form: Annotated[str, typer.Option("--format", help="Format to write: parquet, release, coco or webdataset.")],
    out: OutFolder,
    push_to: Annotated[str | None, typer.Option(help="Also upload to this dataset repository on the Hub.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    title: Annotated[str | None, typer.Option(help="Title on the dataset card and in the metadata.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence on the dataset card and in the metadata, such as CC-BY-4.0.")
    ] = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
    shard: ShardOption = None,
) -> None:
    """Write samples in another format, with title and licence; parquet gets a dataset card and Croissant metadata.

    Example: earthreason export sample --format coco --out sample-coco
    """
    from tqdm import tqdm

    from earthreason.data.exports import about_of, check_push, export_part, push_to_hub
    from earthreason.data.exports import export as export_source
    from earthreason.data.omissions import LEFT_OUT, Tolerance
    from earthreason.data.reader import open_source
    from earthreason.data.sources.base import omissions_of
    from earthreason.shards import Shard

    part = Shard.of_option(shard)
    if push_to is not None and part is not None:
        raise EarthReasonError("--push-to uploads the whole; merge the parts, then: hf upload NAME FOLDER")
    if push_to is not None:
        check_push(push_to)
    opened = open_source(source, Tolerance.of_options(strict, max_left_out))
    if part is not None:
        with tqdm(unit="sample", desc=f"{form} {part}", disable=None) as bar:
            rows = export_part(opened, form, out, part, bar.update, about_of(opened).stated(title, licence))
        listed = ", ".join(f"{split} {count}" for split, count in rows.items())
        typer.echo(f"{out}: {listed}; part {part}, merge all: earthreason merge")
        return
    with tqdm(total=sum(opened.counts.values()), unit="sample", desc=form) as bar:
        written = export_source(opened, form, out, bar.update, about_of(opened).stated(title, licence))
    typer.echo(f"{out}: {', '.join(f'{split} {count}' for split, count in written.items())}")
    if omissions := omissions_of(opened):
        typer.echo(f"left out: {len(omissions)}, listed in {out / LEFT_OUT}", err=True)
    if push_to is not None:
        typer.echo(f"uploaded: {push_to_hub(out, push_to, private)}")


def show(
    source: SourceArgument,
    sample_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="IDs of the samples to draw.")],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")],
) -> None:
    """Draw samples: image, mask, outline, questions and answers.

    Example: earthreason show sample synthetic_s7_test_000003 --out sample.png
    """
    from earthreason.data.reader import find_records, open_source
    from earthreason.reports.samples import draw_samples

    records = find_records(open_source(source), sample_ids)
    draw_samples([records[sample_id][1] for sample_id in sample_ids], out)
    typer.echo(f"picture: {out}")


def stats(
    source: SourceArgument,
    out: OutFolder,
    json_out: JsonOption = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
) -> None:
    """Draw statistics: target area, image size, GSD, text length, empty targets, bigrams, patch redundancy.

    Example: earthreason stats sample --out figures
    """
    from tqdm import tqdm

    from earthreason.data.omissions import Tolerance
    from earthreason.data.reader import open_source
    from earthreason.data.stats import collect
    from earthreason.reports.figures import draw_figures, print_statistics

    refuse_taken(out)
    opened = open_source(source, Tolerance.of_options(strict, max_left_out))
    with tqdm(total=sum(opened.counts.values()), unit="sample", desc="reading") as bar:
        statistics = collect(opened, bar.update)
    draw_figures(statistics, out)
    if report_json(json_out, statistics.to_dict()):
        print_statistics(statistics, stdout())
        typer.echo(f"figures: {out}")


def browse(
    source: SourceArgument, out: OutFolder, strict: StrictOption = False, max_left_out: MaxLeftOutOption = None
) -> None:
    """Write a static gallery of all samples, with filters; it works offline.

    Example: earthreason browse sample --out gallery
    """
    from tqdm import tqdm

    from earthreason.data.omissions import Tolerance
    from earthreason.data.reader import open_source
    from earthreason.reports.browse import write_gallery

    refuse_taken(out)
    opened = open_source(source, Tolerance.of_options(strict, max_left_out))
    with tqdm(total=sum(opened.counts.values()), unit="sample", desc="drawing") as bar:
        page = write_gallery(opened, out, bar.update)
    typer.echo(f"page: {page}")
