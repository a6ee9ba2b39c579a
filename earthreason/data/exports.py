"""Write samples in the forms others read. Each round-trips: `open_source` gives the same records back."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.about import OFFICIAL, OWN_DATA, SYNTHETIC, About
from earthreason.data.croissant import describe
from earthreason.data.pictures import mask_of
from earthreason.data.prepared import write_prepared
from earthreason.data.reader import Configured
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.data.sources.base import ON_DISK
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json
from earthreason.masks.rle import encode_mask, rle_area

SHARD = 1000
"""Samples in a tar file."""
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Format:
    """A way to write samples: `write` fills a new folder."""

    name: str
    summary: str
    write: Callable[[Source, Path, Progress, About], None]


def about_of(source: Source) -> About:
    """What is known of a set: of the official release and of the synthetic scenes all of it, of other data nothing."""
    config = source.config if isinstance(source, Configured) else ""
    return {"default": OFFICIAL, "sample": SYNTHETIC}.get(config, OWN_DATA)


def export(
    source: Source, form: str, out: Path, progress: Progress = lambda _: None, about: About | None = None
) -> None:
    """Write a source as `parquet`, `release`, `coco` or `webdataset`. The folder appears when it is complete.

    Args:
        source: the samples.
        form: name of the format.
        out: folder to write.
        progress: called with 1 after every sample.
        about: what card and metadata of `parquet` say of the set; by default `about_of` the source.

    Raises:
        UnknownNameError: no such format.
        EarthReasonError: `out` is there already, or a sample cannot be named as a file.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    refuse_taken(out)
    with atomic_path(out) as folder:
        FORMATS[form].write(source, folder, progress, about or about_of(source))


def suffix_of(record: Record) -> str:
    """`jpg` or `png`, by the picture's first bytes."""
    return "png" if record.image[:4] == b"\x89PNG" else "jpg"


def _counted(source: Source, split: str, progress: Progress) -> Iterator[Record]:
    for record in source.read(split):
        yield record
        progress(1)


def facts_of(record: Record) -> dict[str, Any]:
    """Everything but the pictures."""
    return {key: value for key, value in vars(record).items() if key not in ("image", "mask")}


def _write_parquet(source: Source, folder: Path, progress: Progress, about: About) -> None:
    splits = {split: _counted(source, split, progress) for split in source.counts}
    write_prepared(folder, "default", splits, source.counts, about=about)
    description = "Overhead images, implicit questions and the mask of the region that answers them, or nothing."
    write_json(folder / "croissant.json", describe(folder, description, about))


def _write_release(source: Source, folder: Path, progress: Progress, _about: About) -> None:
    for split in source.counts:
        root = folder / ON_DISK.get(split, split)
        for part in ("images", "labels", "QAs"):
            (root / part).mkdir(parents=True)
        for record in _counted(source, split, progress):
            stem = file_stem(record.sample_id)
            (root / "images" / f"{stem}.{suffix_of(record)}").write_bytes(record.image)
            (root / "labels" / f"{stem}.png").write_bytes(record.mask)
            facts = {key: getattr(record, key) for key in ("category", "ground_resolution", "source", "reasoning_type")}
            stated = {key: value for key, value in facts.items() if value is not None}
            extra = json.loads(record.extra) if record.extra else {}
            write_json(
                root / "QAs" / f"{stem}.json",
                {"questions": record.questions, "answer": record.answers, **stated, **extra},
            )


def file_stem(sample_id: str) -> str:
    """The id as a file's name.

    Raises:
        EarthReasonError: it cannot be one on every system.
    """
    unsafe = set('/\\:*?"<>|') & set(sample_id) or not sample_id.isprintable()
    if unsafe or sample_id[:1] in ("", ".") or sample_id[-1:] in (" ", ".") or len(sample_id.encode()) > 200:
        raise EarthReasonError(
            f"sample id {sample_id!r} cannot be a file's name; export as parquet, coco or webdataset instead"
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
            rle = encode_mask(mask_of(record.mask, Path(name)))
            images.append(
                {
                    "id": number,
                    "file_name": name,
                    "height": record.height,
                    "width": record.width,
                    "earthreason": facts_of(record),
                }
            )
            if not record.is_empty:
                kind = categories.setdefault(record.category or "target", len(categories) + 1)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": kind,
                        "iscrowd": 0,
                        "segmentation": rle,
                        "area": rle_area(rle),
                    }
                )
        named = [{"id": number, "name": name} for name, number in categories.items()]
        table = {"images": images, "annotations": annotations, "categories": named}
        write_json(folder / "annotations" / f"{split}.json", table, indent=None)


def _write_webdataset(source: Source, folder: Path, progress: Progress, _about: About) -> None:
    folder.mkdir()
    for split, count in source.counts.items():
        records = _counted(source, split, progress)
        for shard in range(max(1, -(-count // SHARD))):
            with tarfile.open(folder / f"{split}-{shard:06d}.tar", "w") as archive:
                for place in range(shard * SHARD, min(count, (shard + 1) * SHARD)):
                    record = next(records)
                    facts = json.dumps(facts_of(record), ensure_ascii=False).encode()
                    parts = {suffix_of(record): record.image, "mask.png": record.mask, "json": facts}
                    for suffix, content in parts.items():
                        member = tarfile.TarInfo(f"{place:08d}.{suffix}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))


FORMATS = {
    form.name: form
    for form in (
        Format("parquet", "what `datasets` and the Hub read without this package", _write_parquet),
        Format("release", "the layout of the official release", _write_release),
        Format("coco", "COCO annotations with RLE masks; questions under `earthreason`", _write_coco),
        Format("webdataset", "tar shards for streaming", _write_webdataset),
    )
}


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload an exported folder as a dataset repository; returns its address.

    Raises:
        EarthReasonError: the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder)
    except Exception as error:  # the Hub client raises many kinds: offline, refused, no token
        raise EarthReasonError(
            f"{repository} was not uploaded ({type(error).__name__}: {str(error).splitlines()[0]}); {folder} is whole. "
            f"Log in with `hf auth login` and upload it: hf upload {repository} {folder} --repo-type dataset"
        ) from error
    return str(address)
