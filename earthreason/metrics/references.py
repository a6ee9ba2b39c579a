"""Ground truth for scoring: run-length masks and a few facts per sample, without images."""

from __future__ import annotations

import hashlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, describe_faults
from earthreason.files import write_json
from earthreason.masks.record import MASK_REMEDIES, RLERecord, Side
from earthreason.masks.rle import empty_rle, encode_mask, rle_area, union_rles
from earthreason.metrics.samples import decode_samples
from earthreason.predictions.schema import MAX_QUESTION_INDEX, NamesSample
from earthreason.strict_json import RepeatedKeyError, strict_loads
from earthreason.types import RLE, OptionalFacts, Sample

_HASHED_TOGETHER = 1 << 21
"""Characters that are hashed at once: each time, the hashing thread waits for the interpreter lock."""
_SHAPE = 'ground truth is {"samples": [{"sample_id", "segmentation"}, ...]}'


@dataclass(frozen=True)
class Reference(OptionalFacts):
    """Ground truth of one sample.

    Attributes:
        sample_id: unique id.
        segmentation: mask at the image's own size; the union of `targets` if there are several.
        question_count: number of questions about the sample.
        targets: masks of the separate targets, in the order of the answer; empty if the sample has one mask.
        ignore: pixels that count neither as target nor as background, such as ReasonSeg's `ignore` shapes.
    """

    sample_id: str
    segmentation: RLE
    question_count: int = 1
    targets: tuple[RLE, ...] = ()
    ignore: RLE | None = None

    @classmethod
    def of_fields(cls, names: Iterable[str], values: Iterable[Any]) -> Reference:
        """Make a reference of valid values four times as fast as the constructor, which checks whether it is frozen."""
        reference = object.__new__(cls)
        reference.__dict__.update(zip(names, values, strict=True))
        return reference

    @property
    def height(self) -> int:
        return self.segmentation["size"][0]

    @property
    def width(self) -> int:
        return self.segmentation["size"][1]

    @cached_property
    def area(self) -> int:
        """Foreground pixels at the image's own size."""
        return rle_area(self.segmentation)

    @property
    def is_empty(self) -> bool:
        """Whether the mask has no foreground pixel."""
        return self.area == 0


class References(Mapping[str, Reference]):
    """Ground truth of a split by sample id, in the order of the split.

    Attributes:
        source: name in messages.
        config, split: configuration and split that were loaded, None if unknown.
        revision: commit of the dataset repository, None if unknown.
    """

    def __init__(
        self,
        references: Iterable[Reference],
        source: str,
        *,
        config: str | None = None,
        split: str | None = None,
        revision: str | None = None,
    ) -> None:
        self.source, self.config, self.split, self.revision = source, config, split, revision
        self._by_id: dict[str, Reference] = {}
        for reference in references:
            if reference.sample_id in self._by_id:
                raise DataFormatError(f"{source}: sample {reference.sample_id!r} appears twice; sample ids are unique")
            self._by_id[reference.sample_id] = reference

    def __getitem__(self, sample_id: str) -> Reference:
        return self._by_id[sample_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    # The views of the dictionary are faster than those of Mapping.

    def items(self) -> ItemsView[str, Reference]:
        """Return sample ids and references."""
        return self._by_id.items()

    def values(self) -> ValuesView[Reference]:
        """Return the references."""
        return self._by_id.values()

    def fingerprint(self) -> str:
        """Return the SHA-256 of ids and masks in hexadecimal; it does not depend on the order or the source."""
        digest = hashlib.sha256()
        parts: list[str] = []
        size = 0
        for sample_id in sorted(self._by_id):
            reference = self._by_id[sample_id]
            parts += _parts_of(reference)
            size += len(reference.segmentation["counts"])
            if size > _HASHED_TOGETHER:
                digest.update("".join(parts).encode())
                parts, size = [], 0
        digest.update("".join(parts).encode())
        return digest.hexdigest()


def _parts_of(reference: Reference) -> list[str]:
    """Return the text of one sample that is hashed, in parts, because texts of masks are long."""
    name, mask = reference.sample_id, reference.segmentation
    parts = [f"{len(name)}:{name} {mask['size'][0]}x{mask['size'][1]} ", mask["counts"], "\n"]
    # A sample with one mask and nothing to ignore adds nothing here, so that its hash stays what it was.
    for target in reference.targets:
        parts += [" target ", target["counts"], "\n"]
    if reference.ignore is not None:
        parts += [" ignore ", reference.ignore["counts"], "\n"]
    return parts


class _Record(NamesSample):
    ignore: RLERecord | None = None
    height: Side | None = None
    width: Side | None = None
    question_count: Annotated[int, Field(ge=1, le=MAX_QUESTION_INDEX + 1)] = 1
    category: str | None = None
    ground_resolution: float | None = None
    source: str | None = None
    reasoning_type: str | None = None

    def with_masks(self, masks: list[RLE]) -> Reference:
        facts = self.model_dump(exclude={"segmentation", "ignore", "height", "width"})
        if masks:
            whole = masks[0] if len(masks) == 1 else union_rles(masks)
        elif self.height is not None and self.width is not None:
            whole = empty_rle(self.height, self.width)
        else:
            raise DataFormatError("segmentation is null, so height and width are needed")
        for side, stated, given in zip(("height", "width"), (self.height, self.width), whole["size"], strict=True):
            if stated is not None and stated != given:
                raise DataFormatError(f"{side} is {stated}, but that of the mask is {given}; they must match")
        ignore = None if self.ignore is None else _rle_of(self.ignore)
        if ignore is not None and ignore["size"] != whole["size"]:
            sizes = ["x".join(map(str, mask["size"])) for mask in (ignore, whole)]
            raise DataFormatError(f"ignore is {sizes[0]} but the mask is {sizes[1]} (height x width); they must match")
        return Reference(segmentation=whole, targets=tuple(masks) if len(masks) > 1 else (), ignore=ignore, **facts)


class _OneMask(_Record):
    segmentation: RLERecord | None

    def to_reference(self) -> Reference:
        return self.with_masks([] if self.segmentation is None else [_rle_of(self.segmentation)])


class _SeveralMasks(_Record):
    segmentation: list[RLERecord]

    def to_reference(self) -> Reference:
        return self.with_masks([_rle_of(record) for record in self.segmentation])


def _rle_of(record: RLERecord) -> RLE:
    return RLE(size=record.size, counts=record.counts)


def reference_of(sample: Sample) -> Reference:
    """Make the reference of a loaded sample."""
    return Reference(
        sample_id=sample.sample_id,
        segmentation=encode_mask(sample.mask),
        question_count=max(1, len(sample.questions)),
        ignore=None if sample.ignore is None else encode_mask(sample.ignore),
        **sample.optional_facts(),
    )


def read_references(path: Path) -> References:
    """Read a ground-truth file: `{"samples": [{"sample_id", "segmentation", ...}]}`.

    `segmentation` is an RLE, a list of one RLE per target, or null; `ignore` is an RLE of pixels that count nowhere.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: the file is not a ground-truth file; names the place of the fault.
    """
    path = Path(path)
    if not path.is_file():
        remedy = ", which is a folder; `--data-dir` takes folders" if path.is_dir() else ""
        raise DataNotFoundError(f"there is no ground-truth file {path}{remedy}")
    text = path.read_bytes()
    samples = decode_samples(text)
    if samples is not None:
        return References(
            map(Reference.of_fields, repeat(tuple(samples)), zip(*samples.values(), strict=True)), str(path)
        )
    if text.startswith(b"\x1f\x8b"):
        raise DataFormatError(f"{path}: packed by gzip; unpack it with gunzip")
    try:
        content: Any = strict_loads(text)
    except RepeatedKeyError as error:
        raise DataFormatError(f"{path}: {error}") from None
    except ValueError as error:
        raise DataFormatError(f"{path}: not one JSON value: {error}; {_SHAPE}") from None
    if not isinstance(content, dict) or not isinstance(content.get("samples"), list):
        raise DataFormatError(f"{path}: {_describe_content(content)}; {_SHAPE}")
    return References(_read_records(path, content["samples"]), source=str(path))


def _describe_content(content: Any) -> str:
    """Name what a file holds instead of ground truth."""
    if not isinstance(content, dict):
        return "a list of entries" if isinstance(content, list) else f"one {type(content).__name__}"
    if {"images", "annotations"} <= content.keys():
        return "a COCO dataset; unite the annotations of each image (`pycocotools.mask.merge`) into one sample"
    return "predictions" if "predictions" in content else f"an object with the keys {', '.join(map(str, content))[:80]}"


def _read_records(path: Path, records: list[Any]) -> Iterator[Reference]:
    for index, record in enumerate(records):
        try:
            several = isinstance(record, dict) and isinstance(record.get("segmentation"), list)
            yield (_SeveralMasks if several else _OneMask).model_validate(record).to_reference()
        except ValidationError as error:
            raise DataFormatError(f"{path}: {describe_faults(error, f'samples[{index}]', MASK_REMEDIES)[0]}") from None
        except EarthReasonError as error:
            raise DataFormatError(f"{path}: samples[{index}]: {error}") from error


def write_references(path: Path, references: References) -> None:
    """Write a ground-truth file for `read_references`."""
    write_json(path, {"samples": [_row_of(reference) for reference in references.values()]}, indent=None)


def _row_of(reference: Reference) -> dict[str, Any]:
    row = {name: value for name, value in asdict(reference).items() if value is not None}
    targets = row.pop("targets")
    return row | {"segmentation": targets or row["segmentation"]}
