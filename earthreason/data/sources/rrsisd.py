"""Read RRSIS-D: referring expressions for DIOR images, in REFER's layout.

Unlike the readers of published models, this one looks up an image by its image id, not by its position or the id of the
reference, and draws masks at the size of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from earthreason.data.about import About
from earthreason.data.schema import SPLITS, Record
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import FROM_DISK, SourceFormat, find_file, make_record, read_json, register
from earthreason.data.sources.pickles import load_pickle
from earthreason.errors import DataFormatError

_REFERENCES = "refs(unc).p"


class RRSISD:
    """Samples of `refs(unc).p`, `instances.json` and JPEG images."""

    name = "rrsis-d"

    def __init__(self, root: Path) -> None:
        references = load_pickle(find_file(root, _REFERENCES, "RRSIS-D"))
        instances = read_json(find_file(root, "instances.json", "RRSIS-D"))
        try:
            self._images = {image["id"]: image for image in instances["images"]}
            self._annotations = {annotation["id"]: annotation for annotation in instances["annotations"]}
            self._categories = {c["id"]: c["name"] for c in instances.get("categories", [])}
            self._references: dict[str, list[Any]] = {split: [] for split in SPLITS}
            for reference in references:
                self._references[FROM_DISK[reference["split"]]].append(reference)
        except (KeyError, TypeError) as error:
            raise DataFormatError(f"{root}: refs(unc).p or instances.json lacks {error}") from None
        self._files = {path.name: path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png")}
        self.counts = {split: len(rows) for split, rows in self._references.items() if rows}

    def read(self, split: str) -> Iterator[Record]:
        """Read one record per reference; all its sentences are questions."""
        for reference in self._references[split]:
            label = f"reference {reference['ref_id']}"
            try:
                image = self._images[reference["image_id"]]
                annotation = self._annotations[reference["ann_id"]]
                path = self._files[Path(image["file_name"]).name]
                questions = [str(sentence.get("raw") or sentence["sent"]) for sentence in reference["sentences"]]
            except KeyError as error:
                raise DataFormatError(f"RRSIS-D {label}: {error} is missing") from None
            with Image.open(path) as picture:
                width, height = picture.size
            try:
                mask = mask_of_annotation(annotation["segmentation"], height, width)
            except DataFormatError as error:
                raise DataFormatError(f"RRSIS-D {label}: {error}") from None
            category = reference.get("category_id", annotation.get("category_id"))
            yield make_record(
                f"rrsisd_{reference['ref_id']}",
                path,
                mask,
                questions,
                source="RRSIS-D",
                category=self._categories.get(category),
            )


register(
    SourceFormat(
        name="rrsis-d",
        title="RRSIS-D: refs(unc).p, instances.json and JPEG images",
        matches=lambda folder: any(folder.rglob(_REFERENCES)),
        open=RRSISD,
        precedence=20,
        config="rrsis-d",
        about=About(
            title="RRSIS-D",
            licence="unknown",
            origin="RRSIS-D was published with RMSIN (arXiv 2312.12470); its images come from DIOR.",
            url="https://github.com/Lsan2401/RMSIN",
            citation="Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image Segmentation, "
            "arXiv 2312.12470",
        ),
        paper="https://arxiv.org/abs/2312.12470",
        how_to_get="https://github.com/Lsan2401/RMSIN",
        splits={"train": 12_181, "validation": 1740, "test": 3481},
    )
)
