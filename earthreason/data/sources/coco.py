"""Read COCO annotation files, one per split; the key `earthreason` of an image contains the facts of the sample.

The mask of an image is the union of its annotations. Crowds (`iscrowd`) are ignored pixels, as COCOeval has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import TARGETS, Record
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
from earthreason.data.sources.places import path_below
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png
from earthreason.types import OPTIONAL_FACTS


class COCO(SampleSource):
    """Samples of `annotations/*.json` beside `images/`, or of one annotation file."""

    name = "coco"

    def __init__(self, root: Path) -> None:
        super().__init__()
        files = [root] if root.is_file() else visible_files(root / "annotations", "*.json")
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
        annotations: dict[int, list[Any]] = {}
        with named(path, "a COCO annotation file"):
            for annotation in table["annotations"]:
                annotations.setdefault(annotation["image_id"], []).append(annotation)
        for place, image in enumerate(table["images"]):
            yield f"images[{place}]", partial(_record, image, annotations, path)


def _record(image: Any, annotations: dict[int, list[Any]], path: Path) -> Record:
    base = path.parent.parent if path.parent.name == "annotations" else path.parent
    with named(path, "a COCO annotation file"):
        height, width = image["height"], image["width"]
        facts = image.get("earthreason", {})
        drawn: dict[bool, list[np.ndarray]] = {True: [], False: []}  # by `iscrowd`
        by_id: dict[Any, np.ndarray] = {}
        for annotation in annotations.get(image["id"], []):
            mask = mask_of_annotation(annotation["segmentation"], height, width)
            drawn[annotation.get("iscrowd", 0) == 1].append(mask)
            by_id[annotation.get("id")] = mask
        if facts.get("ignore") is not None:  # as older exports have it
            drawn[True].append(mask_of_annotation(facts["ignore"], height, width))
        nothing = np.zeros((height, width), bool)
        targets = facts.get(TARGETS)  # ids of annotations, null where a target has no pixels
        file = path_below(base / "images", image["file_name"], str(path))
        if not file.is_file():
            raise DataFormatError(f"{path}: there is no image {image['file_name']!r} in {base / 'images'}")
        return make_record(
            str(facts.get("sample_id", image["id"])),
            file,
            np.logical_or.reduce(drawn[False] or [nothing]),
            facts.get("questions") or [""],
            answers=facts.get("answers", []),
            ignore=encode_mask_png(np.logical_or.reduce(drawn[True])) if drawn[True] else None,
            targets=None
            if targets is None
            else [encode_mask_png(nothing if number is None else by_id[number]) for number in targets],
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
