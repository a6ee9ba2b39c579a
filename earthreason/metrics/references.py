"""Ground truth for scoring: run-length masks and a few facts per sample, without images."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, describe_faults
from earthreason.files import write_json
from earthreason.masks.record import MASK_REMEDIES, RLERecord, Side
from earthreason.masks.rle import empty_rle, encode_mask, rle_area
from earthreason.metrics.samples import decode_samples
from earthreason.types import RLE, OptionalFacts, Sample

_HASHED_TOGETHER = 64


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
    """Ground truth of a split by sample id, in the order of the split."""

    def __init__(self, references: Iterable[Reference], source: str) -> None:
        self.source = source
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

    def items(self) -> ItemsView[str, Reference]:
        """Return the items of the dictionary behind, which are faster than those of Mapping."""
        return self._by_id.items()

    def fingerprint(self) -> str:
        """Return the SHA-256 of ids and masks in hexadecimal; it does not depend on the order or the source."""
        digest = hashlib.sha256()
        ids = sorted(self._by_id)
        for at in range(0, len(ids), _HASHED_TOGETHER):
            lines = []
            for sample_id in ids[at : at + _HASHED_TOGETHER]:
                mask = self._by_id[sample_id].segmentation
                height, width = mask["size"]
                lines.append(f"{len(sample_id)}:{sample_id} {height}x{width} {mask['counts']}\n")
            digest.update("".join(lines).encode())
        return digest.hexdigest()


class _ReferenceRecord(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    sample_id: str = Field(validation_alias=AliasChoices("sample_id", "image_id"), min_length=1)
    segmentation: RLERecord | None
    height: Side | None = None
    width: Side | None = None
    question_count: Annotated[int, Field(ge=1)] = 1
    category: str | None = None
    ground_resolution: float | None = None
    source: str | None = None
    reasoning_type: str | None = None

    def to_reference(self) -> Reference:
        if self.segmentation is not None:
            mask = RLE(size=self.segmentation.size, counts=self.segmentation.counts)
        elif self.height is not None and self.width is not None:
            mask = empty_rle(self.height, self.width)
        else:
            raise DataFormatError("segmentation is null, so height and width are needed")
        return Reference(segmentation=mask, **self.model_dump(exclude={"segmentation", "height", "width"}))


def reference_of(sample: Sample) -> Reference:
    """Make the reference of a loaded sample."""
    return Reference(
        sample_id=sample.sample_id,
        segmentation=encode_mask(sample.mask),
        question_count=max(1, len(sample.questions)),
        **sample.optional_facts(),
    )


def read_references(path: Path) -> References:
    """Read a ground-truth file: `{"samples": [{"sample_id", "segmentation", ...}]}`.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: the file is not a ground-truth file; names the place of the fault.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"there is no ground-truth file {path}")
    text = path.read_bytes()
    samples = decode_samples(text)
    if samples is not None:
        return References((Reference(**sample) for sample in samples), source=str(path))
    try:
        content: Any = from_json(text.removeprefix(codecs.BOM_UTF8), cache_strings="keys")
    except ValueError as error:
        raise DataFormatError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("samples"), list):
        raise DataFormatError(f'{path}: ground truth is {{"samples": [{{"sample_id", "segmentation"}}, ...]}}')
    return References(_read_records(path, content["samples"]), source=str(path))


def _read_records(path: Path, records: list[Any]) -> Iterator[Reference]:
    for index, record in enumerate(records):
        try:
            yield _ReferenceRecord.model_validate(record).to_reference()
        except ValidationError as error:
            raise DataFormatError(f"{path}: {describe_faults(error, f'samples[{index}]', MASK_REMEDIES)[0]}") from None
        except EarthReasonError as error:
            raise DataFormatError(f"{path}: samples[{index}]: {error}") from error


def write_references(path: Path, references: References) -> None:
    """Write a ground-truth file for `read_references`."""
    write_json(path, {"samples": [asdict(reference) for reference in references.values()]}, indent=None)
