"""Read GeoPixInstruct (GeoPix, arXiv 2501.06828): referring descriptions of single instances of SAMRS images.

Columns and splits are those that the card of a copy states (huggingface.co/datasets/Limitless063/Ann, a duplicate of
Norman-ou/GeoPixInstruct-Anno). No public reader of it was found: how `image_path` begins is not known, so a picture is
found by its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from earthreason.data.about import About
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.annotations import mask_of_rle
from earthreason.data.sources.base import SampleSource, SourceFormat, make_record, named, register
from earthreason.data.sources.lookup import folders_below, text_of, unique_ids
from earthreason.data.sources.places import NO_PICTURE, find_in_any, pictures_in
from earthreason.errors import DataFormatError, DataNotFoundError

_HUB = "https://huggingface.co/datasets/Norman-ou/GeoPixInstruct-Anno"
_FILE = re.compile(r"(train|valid)\.(SIOR|FAST|SOTA)_T-.*\.parquet")
_SPLITS = {"train": "train", "valid": "validation"}


class GeoPixInstruct(SampleSource):
    """Samples of `data/{train,valid}.{SIOR,FAST,SOTA}_T-*.parquet`, one for each instance; pictures are below the root.

    `source` is the part of SAMRS that the picture is from.
    """

    name = "geopix-instruct"

    def __init__(self, root: Path) -> None:
        import pyarrow.parquet as pq

        super().__init__()
        files = _parts(root)
        if not files:
            raise DataNotFoundError(f"{root} contains no GeoPixInstruct: expected data/train.SIOR_T-*.parquet")
        self._folders = [pictures_in(folder) for folder, _ in folders_below(root)]
        self._samples: dict[str, list[tuple[str, Callable[[], Record]]]] = {}
        for path, split, part in files:
            with named(path, "a parquet file of GeoPixInstruct"):
                rows = pq.read_table(path, columns=["image_path", "instances"]).to_pylist()
                instances = [(row["image_path"], instance) for row in rows for instance in row["instances"] or ()]
            ids = [f"geopix_{split}_{part}_{instance.get('instance_id')}" for _, instance in instances]
            self._samples.setdefault(split, []).extend(
                (sample_id, partial(self._record, sample_id, part, picture, instance, path))
                for sample_id, (picture, instance) in zip(unique_ids(ids), instances, strict=True)
            )
        self.counts = {split: len(samples) for split, samples in self._samples.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the instances of a split."""
        yield from self._samples[split]

    def _record(self, sample_id: str, part: str, picture: str, instance: dict[str, Any], path: Path) -> Record:
        place = f"{path} instance {instance.get('instance_id')!r}"
        question = text_of(instance, "description", place)
        image = self._picture(picture, place)
        mask = mask_of_rle(instance["mask"], image, place)
        return make_record(
            sample_id,
            image,
            mask,
            question,
            source=part,
            category=instance.get("category"),
            extra=extra_keys({"bbox": instance.get("bbox")}, ()),
        )

    def _picture(self, name: str, place: str) -> Path:
        """Find the picture whose path ends with as many parts of the given one as possible."""
        parts = PurePosixPath(str(name).replace("\\", "/").lstrip("/")).parts
        for start in range(len(parts)):
            found = find_in_any(self._folders, "/".join(parts[start:]), place)
            if len(set(found)) == 1:
                return found[0]
            if found:
                several = ", ".join(map(str, found))
                raise DataFormatError(f"{place}: several pictures are {name!r}: {several}", "several pictures")
        raise DataFormatError(f"{place}: there is no picture {name!r} below the folder", NO_PICTURE)


def _parts(root: Path) -> list[tuple[Path, str, str]]:
    """List the parquet files of the set with their split and part, in order."""
    named_files = [(folder / name, _FILE.fullmatch(name)) for folder, names in folders_below(root) for name in names]
    return [(path, _SPLITS[match[1]], match[2]) for path, match in named_files if match]


register(
    SourceFormat(
        name="geopix-instruct",
        title="GeoPixInstruct: data/SPLIT.PART_T-*.parquet with instances, and pictures",
        matches=lambda folder: bool(_parts(folder)),
        open=GeoPixInstruct,
        precedence=19,
        config="geopix-instruct",
        about=About(
            title="GeoPixInstruct",
            licence="MIT for the annotations, by their card; the terms of the images are unknown",
            origin="GeoPixInstruct was published with GeoPix on the Hugging Face Hub. Its images are those of SAMRS.",
            url=_HUB,
            citation="GeoPix: Multi-Modal Large Language Model for Pixel-level Image Understanding in Remote Sensing, "
            "arXiv 2501.06828",
        ),
        paper="https://arxiv.org/abs/2501.06828",
        how_to_get=_HUB,
    )
)
