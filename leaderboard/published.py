"""Results printed in papers: declared in published.yaml, checked here, shown apart from what was scored here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from earthreason.metrics.protocols import PROTOCOLS
from leaderboard.records import Link

FILE = Path(__file__).parent / "published.yaml"
GRADES = {
    "A": "read in a primary source",
    "B": "read in a text that read the primary source",
    "C": "computed here from figures of grade A or B",
    "U": "claimed, not verified: no figure is shown",
}
Percent = Annotated[float, Field(ge=0, le=100)]
Printed = Annotated[str, Field(pattern=r"^(100|\d{1,2})(\.\d{1,2})?$")]
"""Per cent, to the digits that the paper prints."""


class Derived(BaseModel):
    """A figure that no paper prints."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Percent
    how: Annotated[str, Field(min_length=3)]


class PublishedResult(BaseModel):
    """A row of a paper, per cent.

    Attributes:
        protocol: whose evaluator, None where the source does not say.
        scores: as printed, by score and split.
        derived: computed from printed ones, with the arithmetic.
        conflict: where sources disagree.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    benchmark: Literal["EarthReason", "RRSIS-D", "RefSegRS"]
    model: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    training: Literal["trained", "few-shot", "zero-shot", "unclear"]
    backbone: str
    protocol: str | None
    grade: Literal["A", "B", "C", "U"]
    source: Annotated[str, Field(min_length=3)]
    link: Link
    scores: dict[str, Printed] = {}
    derived: dict[str, Derived] = {}
    conflict: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _figures_fit_the_grade(self) -> PublishedResult:
        if self.grade == "U" and (self.scores or self.derived):
            raise ValueError(f"{self.model}: grade U has no figures")
        if self.grade in "AB" and not self.scores:
            raise ValueError(f"{self.model}: grade {self.grade} needs printed figures")
        if bool(self.derived) != (self.grade == "C"):
            raise ValueError(f"{self.model}: derived figures are grade C, and only they")
        if self.protocol is not None and self.protocol not in PROTOCOLS:
            raise ValueError(f"{self.model}: no protocol {self.protocol!r}")
        return self

    def value(self, score: str) -> float | None:
        """A figure, printed or derived."""
        if score in self.derived:
            return self.derived[score].value
        return float(self.scores[score]) if score in self.scores else None


class Published(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    results: list[PublishedResult]

    def benchmarks(self) -> dict[str, list[PublishedResult]]:
        """Rows by benchmark, in the file's order."""
        found: dict[str, list[PublishedResult]] = {}
        for result in self.results:
            found.setdefault(result.benchmark, []).append(result)
        return found


def columns_of(results: list[PublishedResult]) -> list[str]:
    """Every score that some row has, in order of first mention."""
    return list(dict.fromkeys(score for result in results for score in (*result.scores, *result.derived)))


@lru_cache(maxsize=1)
def load_published() -> Published:
    """Read and check the file."""
    return Published.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))
