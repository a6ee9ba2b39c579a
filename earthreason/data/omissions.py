"""Samples that were left out of a set because their files are broken, and the rule for how many may be."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import write_json
from earthreason.plurals import count_of

LEFT_OUT = "left_out.json"
"""Name of the list of omissions in a prepared folder and in an export."""
SHARE_VARIABLE = "EARTHREASON_MAX_LEFT_OUT"
_SHOWN = 3


@dataclass(frozen=True)
class Omission:
    """A sample that was left out.

    Attributes:
        split: split of the sample.
        sample: file stem, id or place of the sample.
        reason: kind of fault in a few words, such as `no label`.
        message: the fault, with the name of the file.
    """

    split: str
    sample: str
    reason: str
    message: str


def default_share() -> float:
    """Return the share of a split that may be left out by default: EARTHREASON_MAX_LEFT_OUT, or 0.02.

    Raises:
        EarthReasonError: the variable is not a number.
    """
    value = os.environ.get(SHARE_VARIABLE) or "0.02"
    try:
        return float(value)
    except ValueError:
        raise EarthReasonError(f"{SHARE_VARIABLE} is a share from 0 to 1, not {value!r}") from None


@dataclass(frozen=True)
class Tolerance:
    """How many samples of a split may be left out.

    Attributes:
        strict: whether any omission is an error.
        share: largest share of a split that may be left out, 0 to 1.
    """

    strict: bool = False
    share: float = field(default_factory=default_share)

    def __post_init__(self) -> None:
        if not isinstance(self.strict, bool):
            raise EarthReasonError(f"strict is True or False, not {self.strict!r}")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise EarthReasonError(
                f"the share of samples that may be left out is a number from 0 to 1, not {self.share!r}"
            )

    @classmethod
    def of_options(cls, strict: bool = False, share: float | None = None) -> Tolerance:
        """Make a tolerance of optional settings; a share that is None is `default_share`.

        Raises:
            EarthReasonError: both are given, and the share is not 0.
        """
        if strict and share:
            raise EarthReasonError(f"strict allows no broken sample, and max_left_out {share:g}: choose one of them")
        return cls(strict) if share is None else cls(strict, share)


class Omissions:
    """Samples that were left out, in the order of their discovery; each is counted once, however often it is read."""

    def __init__(self, omissions: Iterable[Omission] = ()) -> None:
        self._by_sample = {(omission.split, omission.sample): omission for omission in omissions}

    def __iter__(self) -> Iterator[Omission]:
        return iter(self._by_sample.values())

    def __len__(self) -> int:
        return len(self._by_sample)

    def add(self, split: str, sample: str, error: Exception) -> None:
        """Add a sample by the error that its reading raised; the first error of a sample is kept."""
        reason = error.reason if isinstance(error, DataFormatError) else "unreadable file"
        self._by_sample.setdefault((split, sample), Omission(split, sample, reason, str(error)))

    def of_split(self, split: str) -> Omissions:
        """Return the omissions of one split."""
        return Omissions(omission for omission in self if omission.split == split)

    def by_split(self) -> Counter[str]:
        """Return the number of samples left out, by split."""
        return Counter(omission.split for omission in self)

    def summary(self) -> str:
        """Describe all omissions on one line: numbers by split and reason, and the first names; "" if there is none."""
        if not self:
            return ""
        splits = "; ".join(f"{split}: {self.of_split(split).reasons()}" for split in self.by_split())
        return f"{count_of(len(self), 'sample')} left out ({splits})"

    def reasons(self) -> str:
        """Return the number of omissions by reason, with the first names, such as `2 no label (0001, 0002)`."""
        names: dict[str, list[str]] = {}
        for omission in self:
            names.setdefault(omission.reason, []).append(omission.sample)
        return ", ".join(f"{len(samples):,} {reason} ({_first(samples)})" for reason, samples in names.items())

    def check(
        self, counts: Mapping[str, int], tolerance: Tolerance, source: str, listed_in: Path | None = None
    ) -> None:
        """Check that no more samples were left out than allowed.

        Args:
            counts: number of samples by split, with those that were left out.
            tolerance: rule.
            source: name of the data in the message.
            listed_in: file with the full list, named in the message.

        Raises:
            DataFormatError: too many samples were left out; summarises them and says how to go on.
        """
        where = f" All are listed in {listed_in}." if listed_in is not None else ""
        if tolerance.strict and self:
            raise DataFormatError(
                f"{source}: {self.summary()}, and strict allows none. The first: {self.first_message}.{where} "
                "Load without strict to go on with the rest"
            )
        for split, left_out in self.by_split().items():
            total, those = counts.get(split, 0), self.of_split(split)
            if left_out > tolerance.share * total:
                share = left_out / total if total else 1.0
                enough = _rounded_up(share)
                raise DataFormatError(
                    f"{source}: {left_out:,} of {count_of(total, 'sample')} of {split} ({share:.1%}) cannot be read, "
                    f"more than the {tolerance.share:.1%} allowed: {those.reasons()}. "
                    f"The first: {those.first_message}.{where} Restore them, or go on with the "
                    f"rest: --max-left-out {enough} (in Python max_left_out={enough}, for every command "
                    f"{SHARE_VARIABLE}={enough})"
                )

    @property
    def first_message(self) -> str:
        """Return the message of the first omission; there must be one."""
        return next(iter(self)).message

    def write(self, path: Path, counts: Mapping[str, int]) -> None:
        """Write the full list, and the number of samples by split with those that were left out, as JSON."""
        write_json(path, {"samples": dict(counts), "left_out": [asdict(omission) for omission in self]})

    @classmethod
    def read(cls, path: Path) -> tuple[Omissions, dict[str, int]]:
        """Read what `write` wrote: omissions and numbers of samples; nothing if there is no such file."""
        if not path.is_file():
            return cls(), {}
        content = json.loads(path.read_text("utf-8"))
        return cls(Omission(**entry) for entry in content["left_out"]), content["samples"]


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _rounded_up(share: float) -> float:
    return min(1.0, (int(share * 100) + 1) / 100)
