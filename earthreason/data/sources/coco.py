"""Read COCO annotation files, one per split; the key `earthreason` of an image contains the facts of the sample.

The mask of an image is the union of its annotations. Crowds (`iscrowd`) are ignored pixels, as COCOeval has it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import TARGETS, Record
from earthreason.data.sources.annotations import check_stated_size, mask_of_annotation
from earthreason.data.sources.base import (
    SampleSource,
    SourceFormat,
    by_split,
    make_record,
    named,
    read_json,
    register,
)
from earthreason.data.sources.places import NO_PICTURE, path_below
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png
from earthreason.plurals import count_of
from earthreason.types import OPTIONAL_FACTS

_log = logging.getLogger(__name__)


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
        annotations: dict[str, list[Any]] = {}  # by id as text, because some tools write 1 here and "1" there
        with named(path, "a COCO annotation file"):
            for annotation in table["annotations"]:
                annotations.setdefault(str(annotation["image_id"]), []).append(annotation)
            known = {str(image.get("id")) for image in table["images"] if isinstance(image, dict)}
        if strange := [each for image, each in annotations.items() if image not in known]:
            _log.warning(
                "%s: skipped %s of images that the file does not list (the first of %r)",
                path,
                count_of(sum(map(len, strange)), "annotation"),
                strange[0][0]["image_id"],
            )
        for place, image in enumerate(table["images"]):
            yield f"images[{place}]", partial(_record, image, annotations, path, place)


def _record(image: Any, annotations: dict[str, list[Any]], path: Path, number: int) -> Record:
    place = f"{path} images[{number}]"
    with named(Path(place), "an image of COCO with annotations"):
        file = _image_file(image["file_name"], path)
        height, width = image["height"], image["width"]
        check_stated_size((height, width), file, place)
        facts = image.get("earthreason", {})
        drawn: dict[bool, list[np.ndarray]] = {True: [], False: []}  # by `iscrowd`
        by_id: dict[Any, np.ndarray] = {}
        for annotation in annotations.get(str(image["id"]), []):
            mask = mask_of_annotation(annotation["segmentation"], height, width)
            drawn[annotation.get("iscrowd", 0) == 1].append(mask)
            by_id[annotation.get("id")] = mask
        if facts.get("ignore") is not None:  # as older exports have it
            drawn[True].append(mask_of_annotation(facts["ignore"], height, width))
        nothing = np.zeros((height, width), bool)
        targets = facts.get(TARGETS)  # ids of annotations, null where a target has no pixels
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


def _image_file(name: str, path: Path) -> Path:
    """Find an image in `images/`, in the folder of the split as COCO has it (`val2017/`), or beside the annotations."""
    base = path.parent.parent if path.parent.name == "annotations" else path.parent
    split = path.stem.rpartition("_")[2]
    for folder in (base / "images", base / split, base / "images" / split, base):
        file = path_below(folder, name, str(path))
        if file.is_file():
            return file
    raise DataFormatError(f"{path}: there is no image {name!r} in {base / 'images'}", NO_PICTURE)


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
