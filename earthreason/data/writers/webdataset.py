"""Write tar shards, which the library webdataset and `datasets` decode.

`datasets` takes the names and types of the columns from the first five samples, drops a file with another name without
a word, and refuses a text where it saw null. So all samples have files of the same names, and a card states the types.
"""

from __future__ import annotations

import io
import json
import tarfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earthreason.data.about import About
from earthreason.data.cards import COLUMNS, write_card
from earthreason.data.pictures import mask_of
from earthreason.data.schema import PICTURES, TARGETS, Record, features
from earthreason.data.sources import Source
from earthreason.data.sources.base import omissions_of
from earthreason.data.writers.base import facts_of, register, suffix_of
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import encode_mask

if TYPE_CHECKING:
    from datasets import Features

SHARD = 1000
"""Number of samples in a tar file."""


@register("webdataset")
def write(source: Source, folder: Path, about: About) -> None:
    """Write `SPLIT-NUMBER.tar` with KEY.jpg, KEY.mask.png, KEY.ignore.png and KEY.json, and a card.

    Pictures are named `.jpg` or `.png` as the first of them is; the decoders look at the content.
    """
    folder.mkdir()
    suffix = ""
    written: dict[str, int] = {}
    for split, count in source.counts.items():
        records = source.read(split)
        written[split] = 0
        for shard in range(max(1, -(-count // SHARD))):
            with tarfile.open(folder / f"{split}-{shard:06d}.tar", "w") as archive:
                for place, record in enumerate(islice(records, SHARD), start=shard * SHARD):
                    suffix = suffix or suffix_of(record)
                    for name, content in _files(record, suffix).items():
                        member = tarfile.TarInfo(f"{place:08d}.{name}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
                    written[split] += 1
    suffix = suffix or "jpg"
    facts = ", ".join(f"`{name}`" for name in COLUMNS if name not in PICTURES)
    write_card(
        folder,
        about,
        written,
        {split: f"{split}-*.tar" for split in written},
        {
            suffix: COLUMNS["image"],
            "mask.png": COLUMNS["mask"],
            "ignore.png": "pixels that count neither as target nor as background: 255, elsewhere 0",
            "json": f"{facts}; masks of targets are COCO RLEs",
        },
        omissions=omissions_of(source),
        features=_features(suffix),
    )


def _files(record: Record, suffix: str) -> dict[str, bytes]:
    """Return the files of a sample by the name after the key."""
    targets = None
    if record.targets is not None:
        targets = [encode_mask(mask_of(target, Path(record.sample_id))) for target in record.targets]
    ignore = record.ignore or encode_mask_png(np.zeros((record.height, record.width), bool))
    facts = json.dumps({**facts_of(record), TARGETS: targets}, ensure_ascii=False).encode()
    return {suffix: record.image, "mask.png": record.mask, "ignore.png": ignore, "json": facts}


def _features(suffix: str) -> Features:
    from datasets import Features, Image, List, Value

    text = Value("string")
    facts = {name: kind for name, kind in features().items() if name not in PICTURES}
    facts[TARGETS] = List({"size": List(Value("int32")), "counts": text})
    pictures = dict.fromkeys((suffix, "mask.png", "ignore.png"), Image())
    return Features({**pictures, "json": facts, "__key__": text, "__url__": text})
