"""Read COCO annotation files, one per split; the key `earthreason` of an image contains the facts of the sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import Record
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import (
    SampleSource,
    SourceFormat,
    by_split,
    make_record,
    named,
    read_json,
    register,
)
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.masks.png import encode_mask_png
from earthreason.types import OPTIONAL_FACTS


class COCO(SampleSource):
    """Samples of `annotations/*.json` beside `images/`, or of one annotation file."""

    name = "coco"

    def __init__(self, root: Path) -> None:
        super().__init__()
        files = [root] if root.is_file() else sorted((root / "annotations").glob("*.json"))
        if not files:
            raise DataNotFoundError(f"{root} contains no annotations/*.json")
        groups = by_split(files, root)
        for split, paths in groups.items():
            if len(paths) > 1:
                names = ", ".join(path.name for path in paths)
                raise DataFormatError(f"{root / 'annotations'} has several files for {split} ({names}); open one alone")
        self._files = {split: paths[0] for split, paths in groups.items()}
        self._tables: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        for split, path in self._files.items():
            with named(path, "a COCO annotation file"):
                table = read_json(path)
                self._tables[split], self.counts[split] = table, len(table["images"])

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the images of a split."""
        table, path = self._tables[split], self._files[split]
        masks: dict[int, list[Any]] = {}
        with named(path, "a COCO annotation file"):
            for annotation in table["annotations"]:
                masks.setdefault(annotation["image_id"], []).append(annotation["segmentation"])
        for place, image in enumerate(table["images"]):
            yield f"images[{place}]", partial(_record, image, masks, path)


def _record(image: Any, masks: dict[int, list[Any]], path: Path) -> Record:
    base = path.parent.parent if path.parent.name == "annotations" else path.parent
    with named(path, "a COCO annotation file"):
        height, width = image["height"], image["width"]
        parts = [mask_of_annotation(part, height, width) for part in masks.get(image["id"], [])]
        mask = np.logical_or.reduce(parts) if parts else np.zeros((height, width), bool)
        facts = image.get("earthreason", {})
        ignore = facts.get("ignore")
        file = base / "images" / image["file_name"]
        if not file.resolve().is_relative_to(base.resolve()) or not file.is_file():
            raise DataFormatError(f"{path}: there is no image {image['file_name']!r} in {base / 'images'}")
        return make_record(
            str(facts.get("sample_id", image["id"])),
            file,
            mask,
            facts.get("questions") or [""],
            answers=facts.get("answers", []),
            ignore=None if ignore is None else encode_mask_png(mask_of_annotation(ignore, height, width)),
            **{key: facts.get(key) for key in (*OPTIONAL_FACTS, "extra")},
        )


register(
    SourceFormat(
        name="coco",
        title="annotations/*.json in COCO's form beside images/",
        matches=lambda folder: (folder / "annotations").is_dir() and (folder / "images").is_dir(),
        open=COCO,
        suffixes=(".json",),
        precedence=10,
    )
)
