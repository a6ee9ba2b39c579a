"""Write COCO annotation files, which COCOeval, FiftyOne and other readers of COCO's form open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from earthreason.data.about import About
from earthreason.data.pictures import mask_of
from earthreason.data.schema import TARGETS, Record
from earthreason.data.sources import Source
from earthreason.data.writers.base import facts_of, register, suffix_of
from earthreason.files import write_json
from earthreason.masks.rle import encode_mask, rle_area

UNNAMED = "target"
"""Category of targets without a class, and the supercategory of all."""
_LICENCE = 1


@register("coco")
def write(source: Source, folder: Path, about: About) -> None:
    """Write `images/SPLIT/NUMBER.jpg` and `annotations/SPLIT.json`; ids are unique over all splits."""
    categories: dict[str, int] = {}
    images: dict[str, list[dict[str, Any]]] = {}
    annotations: dict[str, list[dict[str, Any]]] = {}
    images_before = annotations_before = 0
    for split in source.counts:
        (folder / "images" / split).mkdir(parents=True)
        images[split], annotations[split] = [], []
        for number, record in enumerate(source.read(split), start=1):
            name = f"{split}/{number:06d}.{suffix_of(record)}"
            (folder / "images" / name).write_bytes(record.image)
            category = categories.setdefault(record.category or UNNAMED, len(categories) + 1)
            ids = {"image_id": images_before + number, "category_id": category}
            facts = facts_of(record)
            drawn: list[int | None] = []
            for mask, is_crowd in _masks(record):
                annotation = _annotation(mask, is_crowd, Path(name))
                drawn.append(None)
                if annotation["area"]:  # COCOeval would count an annotation without pixels as never found
                    drawn[-1] = annotations_before + len(annotations[split]) + 1
                    annotations[split].append({"id": drawn[-1], **ids, **annotation})
            if record.targets is not None:
                facts[TARGETS] = drawn[: len(record.targets)]
            shape = {"height": record.height, "width": record.width}
            images[split].append(
                {"id": ids["image_id"], "file_name": name, **shape, "license": _LICENCE, "earthreason": facts}
            )
        images_before += len(images[split])
        annotations_before += len(annotations[split])
    named = [{"id": number, "name": name, "supercategory": UNNAMED} for name, number in categories.items()]
    for split in source.counts:
        table = {
            "info": _info(about),
            "licenses": [{"id": _LICENCE, "name": about.licence, "url": about.licence_url}],
            "images": images[split],
            "annotations": annotations[split],
            "categories": named or [{"id": 1, "name": UNNAMED, "supercategory": UNNAMED}],
        }
        write_json(folder / "annotations" / f"{split}.json", table, indent=None)


def _masks(record: Record) -> Iterator[tuple[bytes, bool]]:
    """List the masks of a sample, and whether COCOeval shall ignore what is found there (its crowds)."""
    yield from ((target, False) for target in ([record.mask] if record.targets is None else record.targets))
    if record.ignore is not None:
        yield record.ignore, True


def _annotation(content: bytes, is_crowd: bool, place: Path) -> dict[str, Any]:
    rle = encode_mask(mask_of(content, place))
    box = [float(side) for side in coco.toBbox({**rle, "counts": rle["counts"].encode("ascii")})]
    return {"iscrowd": int(is_crowd), "segmentation": rle, "area": rle_area(rle), "bbox": box}


def _info(about: About) -> dict[str, Any]:
    year = None if about.published is None else int(about.published[:4])
    known = {"url": about.url, "contributor": about.creator, "date_created": about.published, "year": year}
    stated = {key: value for key, value in known.items() if value is not None}
    return {"description": f"{about.title}. {about.origin}", "version": "1.0.0", **stated}
