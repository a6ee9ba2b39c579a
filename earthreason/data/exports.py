"""Export samples to other formats. Every format round-trips: `open_source` returns the same records."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC, About
from earthreason.data.croissant import describe
from earthreason.data.pictures import mask_of
from earthreason.data.prepared import write_prepared
from earthreason.data.reader import Configured
from earthreason.data.schema import PICTURES, TARGETS, Record
from earthreason.data.sources import Source
from earthreason.data.sources.base import ON_DISK, omissions_of
from earthreason.data.sources.release import SAMPLE_ID
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json
from earthreason.masks.rle import encode_mask, rle_area
from earthreason.types import OPTIONAL_FACTS

SHARD = 1000
"""Number of samples in a tar file."""
Progress = Callable[[int], object]


def about_of(source: Source) -> About:
    """Return title, licence and origin of a source, which are known for the release and the synthetic scenes only."""
    config = source.config if isinstance(source, Configured) else ""
    return {"default": OFFICIAL, "sample": SYNTHETIC}.get(config, OWN_DATA)


def export(
    source: Source, form: str, out: Path, progress: Progress = lambda _: None, about: About | None = None
) -> None:
    """Export samples to a folder, which appears when it is complete.

    Args:
        source: samples to export.
        form: name of the format: `parquet`, `release`, `coco` or `webdataset`.
        out: folder to create; it must be absent or empty.
        progress: called with 1 after every sample.
        about: title, licence and origin for the card and metadata of `parquet`; `about_of(source)` by default.

    Raises:
        UnknownNameError: the format is unknown.
        EarthReasonError: `out` is not empty, or a sample id is not a valid file name.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    refuse_taken(out)
    with atomic_path(out) as folder:
        FORMATS[form](source, folder, progress, about or about_of(source))


def suffix_of(record: Record) -> str:
    """Return `jpg` or `png`, judged by the first bytes of the picture."""
    return "png" if record.image[:4] == b"\x89PNG" else "jpg"


def _counted(source: Source, split: str, progress: Progress) -> Iterator[Record]:
    for record in source.read(split):
        yield record
        progress(1)


def facts_of(record: Record) -> dict[str, Any]:
    """Return all columns except the pictures, in the order of the parquet files."""
    columns = {column: value for column, value in vars(record).items() if column not in (*PICTURES, TARGETS)}
    facts, extra = {fact: columns.pop(fact) for fact in OPTIONAL_FACTS}, columns.pop("extra")
    return {**columns, **facts, "extra": extra}


def _write_parquet(source: Source, folder: Path, progress: Progress, about: About) -> None:
    splits = {split: _counted(source, split, progress) for split in source.counts}
    write_prepared(folder, "default", splits, source.counts, about=about, omissions=omissions_of(source))
    description = "Overhead images, implicit questions and the mask of the region that answers them, or nothing."
    write_json(folder / "croissant.json", describe(folder, description, about))


def _write_release(source: Source, folder: Path, progress: Progress, _about: About) -> None:
    for split in source.counts:
        root = folder / ON_DISK.get(split, split)
        for part in ("images", "labels", "QAs"):
            (root / part).mkdir(parents=True)
        for record in _counted(source, split, progress):
            stem = file_stem(record.sample_id)
            if record.ignore is not None:
                raise EarthReasonError(
                    f"sample {record.sample_id!r} has ignored pixels, and the layout of the release has no place "
                    "for them; export as parquet, coco or webdataset instead"
                )
            (root / "images" / f"{stem}.{suffix_of(record)}").write_bytes(record.image)
            (root / "labels" / f"{stem}.png").write_bytes(record.mask)
            stated = {fact: value for fact, value in record.optional_facts().items() if value is not None}
            extra = json.loads(record.extra) if record.extra else {}
            write_json(
                root / "QAs" / f"{stem}.json",
                {
                    SAMPLE_ID: record.sample_id,
                    "questions": record.questions,
                    "answer": record.answers,
                    **stated,
                    **extra,
                },
            )


def file_stem(sample_id: str) -> str:
    """Return the sample id for use as a file name.

    Raises:
        EarthReasonError: the id is not a valid file name on every operating system.
    """
    unsafe = set('/\\:*?"<>|') & set(sample_id) or not sample_id.isprintable()
    if unsafe or sample_id[:1] in ("", ".") or sample_id[-1:] in (" ", ".") or len(sample_id.encode()) > 200:
        raise EarthReasonError(
            f"sample id {sample_id!r} is not a valid file name; export as parquet, coco or webdataset instead"
        )
    return sample_id


def _write_coco(source: Source, folder: Path, progress: Progress, _about: About) -> None:
    categories: dict[str, int] = {}
    for split in source.counts:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        (folder / "images" / split).mkdir(parents=True)
        for number, record in enumerate(_counted(source, split, progress), start=1):
            name = f"{split}/{number:06d}.{suffix_of(record)}"
            (folder / "images" / name).write_bytes(record.image)
            shape = {"height": record.height, "width": record.width}
            facts = facts_of(record)
            if record.ignore is not None:
                facts["ignore"] = encode_mask(mask_of(record.ignore, Path(name)))
            images.append({"id": number, "file_name": name, **shape, "earthreason": facts})
            if not record.is_empty:
                rle = encode_mask(mask_of(record.mask, Path(name)))
                ids = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories.setdefault(record.category or "target", len(categories) + 1),
                }
                annotations.append({**ids, "iscrowd": 0, "segmentation": rle, "area": rle_area(rle)})
        named = [{"id": number, "name": name} for name, number in categories.items()]
        table = {"images": images, "annotations": annotations, "categories": named}
        write_json(folder / "annotations" / f"{split}.json", table, indent=None)


def _write_webdataset(source: Source, folder: Path, progress: Progress, _about: About) -> None:
    folder.mkdir()
    for split, count in source.counts.items():
        records = _counted(source, split, progress)
        for shard in range(max(1, -(-count // SHARD))):
            with tarfile.open(folder / f"{split}-{shard:06d}.tar", "w") as archive:
                for place, record in enumerate(islice(records, SHARD), start=shard * SHARD):
                    facts = json.dumps(facts_of(record), ensure_ascii=False).encode()
                    ignore = {} if record.ignore is None else {"ignore.png": record.ignore}
                    parts = {suffix_of(record): record.image, "mask.png": record.mask, **ignore, "json": facts}
                    for suffix, content in parts.items():
                        member = tarfile.TarInfo(f"{place:08d}.{suffix}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))


FORMATS = {
    "parquet": _write_parquet,
    "release": _write_release,
    "coco": _write_coco,
    "webdataset": _write_webdataset,
}


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload an exported folder as a dataset repository and return its URL.

    Raises:
        EarthReasonError: the Hub refuses the upload or is unreachable.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder)
    except Exception as error:  # the Hub client raises many kinds: offline, refused, no token
        raise EarthReasonError(
            f"{repository} was not uploaded ({type(error).__name__}: {str(error).splitlines()[0]}); "
            f"{folder} is complete. Log in with `hf auth login` and upload it: "
            f"hf upload {repository} {folder} --repo-type dataset"
        ) from error
    return str(address)
