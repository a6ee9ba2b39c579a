"""Ground truth for scoring: run-length masks and a few facts per sample, without images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, ValuesView
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, FiniteFloat, ValidationError

from earthreason.errors import (
    DataFormatError,
    EarthReasonError,
    RLEError,
    TruthError,
    describe_faults,
)
from earthreason.files import write_json
from earthreason.masks.record import Side
from earthreason.masks.rle import MAX_SIDE, encode_mask, rle_area, validate_rle
from earthreason.metrics.samples import decode_samples
from earthreason.predictions.foreign import check_usable
from earthreason.predictions.members import holds_masks, mask_predictions
from earthreason.predictions.schema import MAX_QUESTION_INDEX, REMEDIES, MasksField, NamesSample
from earthreason.predictions.segmentation import compress_runs
from earthreason.predictions.stream import TRUTH, Broken, text_values
from earthreason.types import RLE, OptionalFacts, Sample

_HASHED_TOGETHER = 1 << 21
"""Characters that are hashed at once: each time, the hashing thread waits for the interpreter lock."""
_ADD_SIDES = 'add "height" and "width" in pixels to the sample'
_SPLIT_PREFIX = re.compile(r"(?:train|val|test)-(?=.)")
"""What the reader of the release puts before a stem."""
_OF_PREDICTIONS = {"question_index", "score"}
_REMEDIES = REMEDIES | {
    **dict.fromkeys(("height", "width"), "a whole number of pixels; leave it out if the mask states it"),
    "ignore": "a mask of pixels that count nowhere, or leave it out",
    "ground_resolution": "metres for one pixel; leave it out if it is unknown",
    **dict.fromkeys(("category", "source", "reasoning_type", "unseen"), "text; leave it out if there is none"),
    "question_count": "the number of questions about the sample; leave it out if there is one",
}


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
        left_out: names of samples that the split lacks because their files are broken; predictions for them are
            ignored.
    """

    def __init__(
        self,
        references: Iterable[Reference],
        source: str,
        *,
        config: str | None = None,
        split: str | None = None,
        revision: str | None = None,
        left_out: Collection[str] = (),
    ) -> None:
        self.source, self.config, self.split, self.revision = source, config, split, revision
        self.left_out = frozenset(left_out)
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

    def find(self, sample_id: str) -> str | None:
        """Return the id of the sample that a prediction names: the id itself, or a name that only one sample has.

        Such names are the id without its split (`0001` for `test-0001`), as files of the release are called and as
        earlier versions called their samples, and the same up to its first dot, where some readers cut names.
        """
        if sample_id in self._by_id:
            return sample_id
        meant = self.meant_by(sample_id)
        return meant[0] if len(meant) == 1 else None

    def meant_by(self, name: str) -> list[str]:
        """Return the ids of all samples that have this other name; see `find`."""
        return next((names[name] for names in self._other_names if name in names), [])

    @cached_property
    def _other_names(self) -> tuple[dict[str, list[str]], ...]:
        stems: dict[str, list[str]] = {}
        first_stems: dict[str, list[str]] = {}
        for sample_id in self._by_id:
            stem = _SPLIT_PREFIX.sub("", sample_id)
            if stem != sample_id:
                stems.setdefault(stem, []).append(sample_id)
            if "." in stem:
                first_stems.setdefault(stem.split(".")[0], []).append(sample_id)
                if stem != sample_id:
                    first_stems.setdefault(sample_id.split(".")[0], []).append(sample_id)
        return stems, first_stems

    def limited(self, count: int) -> References:
        """Return the first samples, at most `count`; predictions for the others are ignored."""
        if count >= len(self):
            return self
        names = list(self._by_id)
        return References(
            (self._by_id[name] for name in names[:count]),
            f"{self.source}, first {count}",
            config=self.config,
            split=self.split,
            revision=self.revision,
            left_out={*self.left_out, *names[count:], *(_SPLIT_PREFIX.sub("", name) for name in names[count:])},
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of ids and masks in hexadecimal; it does not depend on the order or the source."""
        digest = hashlib.sha256()
        parts: list[str] = []
        size = 0
        for sample_id in sorted(self._by_id):
            reference = self._by_id[sample_id]
            parts += hashed_parts(reference)
            size += len(reference.segmentation["counts"])
            if size > _HASHED_TOGETHER:
                digest.update("".join(parts).encode())
                parts, size = [], 0
        digest.update("".join(parts).encode())
        return digest.hexdigest()


def hashed_parts(reference: Reference) -> list[str]:
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
    """Entry of a ground-truth file. Other keys, such as `area` of COCO, are ignored."""

    segmentation: MasksField
    ignore: MasksField = None
    height: Side | None = None
    width: Side | None = None
    question_count: Annotated[int, Field(ge=1, le=MAX_QUESTION_INDEX + 1)] = 1
    category: str | None = None
    ground_resolution: FiniteFloat | None = None
    source: str | None = None
    reasoning_type: str | None = None
    unseen: str | None = None

    def to_reference(self) -> Reference:
        facts = self.model_dump(exclude={"segmentation", "ignore", "height", "width"})
        if self.segmentation is not None:
            whole = self.segmentation.union
        elif self.height is not None and self.width is not None:
            whole = compress_runs([self.height * self.width], self.height, self.width)
        else:
            raise DataFormatError(f"segmentation is null, so height and width are needed; {_ADD_SIDES}")
        for side, stated, given in zip(("height", "width"), (self.height, self.width), whole["size"], strict=True):
            if stated is not None and stated != given:
                raise DataFormatError(f"{side} is {stated}, but that of the mask is {given}; they must match")
        ignore = None if self.ignore is None else self.ignore.union
        if ignore is not None and ignore["size"] != whole["size"]:
            sizes = ["x".join(map(str, mask["size"])) for mask in (ignore, whole)]
            raise DataFormatError(f"ignore is {sizes[0]} but the mask is {sizes[1]} (height x width); they must match")
        targets = self.segmentation.targets if self.segmentation is not None else ()
        return Reference(segmentation=whole, targets=targets if len(targets) > 1 else (), ignore=ignore, **facts)


def reference_of(sample: Sample) -> Reference:
    """Make the reference of a loaded sample."""
    return Reference(
        sample_id=sample.sample_id,
        segmentation=encode_mask(sample.mask),
        question_count=max(1, len(sample.questions)),
        ignore=None if sample.ignore is None else encode_mask(sample.ignore),
        targets=tuple(map(encode_mask, sample.targets)),
        **sample.optional_facts(),
    )


def read_references(path: Path) -> References:
    """Read a ground-truth file: `{"samples": [{"sample_id", "segmentation", ...}]}`, that list, or JSON Lines.

    The file may be packed by gzip. A folder, zip or `.npz` of one mask per sample is ground truth too. `segmentation`
    has the forms of predictions: RLE, a list of one RLE per target, polygons, or null. Polygons and null need the
    `height` and `width` of the sample. `ignore` is a mask of pixels that count nowhere.

    Raises:
        DataNotFoundError: there is no such file.
        TruthError: the file is not a ground-truth file, or has faults; lists all of them.
    """
    path = Path(path)
    check_usable(path, "ground-truth file", TruthError)
    faults: list[str] = []
    if holds_masks(path):
        references = list(_read_masks(path, faults))
    elif (samples := decode_samples(path.read_bytes())) is not None:
        rows = zip(*samples.values(), strict=True)
        return References(map(Reference.of_fields, repeat(tuple(samples)), rows), source=str(path))
    else:
        references = list(_read_records(path, faults))
    if faults:
        raise TruthError(str(path), faults)
    return References(references, source=str(path))


def _read_masks(path: Path, faults: list[str]) -> Iterator[Reference]:
    """Yield the samples of a folder or zip of masks; append a line to `faults` for each fault."""
    names = {child.name for child in path.glob("*")}  # empty for a zip, and for a folder that may not be read
    if {"QAs", "images"} <= names or any(name.endswith(".parquet") for name in names):
        faults.append("a folder of a dataset, not of masks; `--data-dir` takes it")
        return
    for mask in mask_predictions(path, faults):
        if mask.question_index or mask.segmentation is None:
            faults.append(f"{mask.sample_id}__{mask.question_index}: a sample has one mask; name it SAMPLE_ID.png")
        else:
            yield Reference(mask.sample_id, mask.segmentation)


def _read_records(path: Path, faults: list[str]) -> Iterator[Reference]:
    """Yield the valid samples of a file; append a line to `faults` for each fault."""
    places: dict[str, str] = {}
    for place, value in text_values(path, faults, TRUTH):
        if place == "info":
            continue
        try:
            if isinstance(value, Broken):
                raise DataFormatError(value.fault)
            if isinstance(value, dict) and (answered := sorted(_OF_PREDICTIONS & value.keys())):
                raise DataFormatError(
                    f"key {answered[0]!r} belongs to predictions; give the ground truth, or remove the key"
                )
            reference = _Record.model_validate(value, context={"size_of": partial(_stated_size, value)}).to_reference()
            if (first := places.setdefault(reference.sample_id, place)) != place:
                raise DataFormatError(f"sample {reference.sample_id!r} appears twice, as in {first}; keep one")
            yield reference
        except ValidationError as error:
            faults += describe_faults(error, place, _REMEDIES)
        except (EarthReasonError, ValueError) as error:
            faults.append(f"{place}: {error}")


def _stated_size(record: Mapping[str, Any], sample_id: str) -> tuple[int, int] | None:
    """Return the (height, width) that a sample states, for its polygons; None if they are at fault themselves."""
    sides = record.get("height"), record.get("width")
    if None in sides:
        raise ValueError(f"polygons need the size of the image; {_ADD_SIDES}")
    valid = all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides)
    return cast("tuple[int, int]", sides) if valid else None


def refuse_broken_masks(references: References) -> None:
    """Check the counts of all masks, which reading leaves to the judge.

    Raises:
        TruthError: some are not masks of their stated size; lists all of them.
    """
    faults = []
    for reference in references.values():
        ignored = [] if reference.ignore is None else [reference.ignore]
        for mask in [*(reference.targets or [reference.segmentation]), *ignored]:
            try:
                validate_rle(mask)
            except RLEError as error:
                faults.append(f"sample {reference.sample_id!r}: {error}")
    if faults:
        raise TruthError(references.source, faults)


def write_references(path: Path, references: References) -> None:
    """Write a ground-truth file for `read_references`."""
    write_json(path, {"samples": [_row_of(reference) for reference in references.values()]}, indent=None)


def _row_of(reference: Reference) -> dict[str, Any]:
    row = {name: value for name, value in asdict(reference).items() if value is not None}
    targets = row.pop("targets")
    return row | {"segmentation": targets or row["segmentation"]}
