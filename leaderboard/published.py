"""Results reported in papers: declared in published.yaml, checked here, shown apart from the board's own scores."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from earthreason.metrics.protocols import PROTOCOLS

from .records import Link

FILE = Path(__file__).parent / "published.yaml"
BENCHMARKS = {"default": "EarthReason", "rrsis-d": "RRSIS-D", "refsegrs": "RefSegRS"}
"""Names of the benchmarks by configuration."""
GRADES = {
    "A": "read in a primary source",
    "B": "read in a text that read the primary source",
    "C": "computed here from figures of grade A or B",
    "U": "claimed, not verified: no figure is shown",
}
Percent = Annotated[float, Field(ge=0, le=100)]
Printed = Annotated[str, Field(pattern=r"^(100|\d{1,2})(\.\d{1,2})?$")]
"""Per cent, with the digits that the paper reports."""


class Derived(BaseModel):
    """A figure that no paper reports."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Percent
    how: Annotated[str, Field(min_length=3)]


class PublishedResult(BaseModel):
    """A row of a paper, in per cent.

    Attributes:
        protocol: the evaluator used; None if the source does not say.
        scores: reported figures by score and split.
        derived: figures computed from reported ones, with the arithmetic.
        conflict: point on which the sources disagree.
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
        """Return a figure, reported or derived."""
        if score in self.derived:
            return self.derived[score].value
        return float(self.scores[score]) if score in self.scores else None


class Published(BaseModel):
    """The content of published.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    results: list[PublishedResult]

    def benchmarks(self) -> dict[str, list[PublishedResult]]:
        """Group the rows by benchmark, in the file's order."""
        by_benchmark: dict[str, list[PublishedResult]] = {}
        for result in self.results:
            by_benchmark.setdefault(result.benchmark, []).append(result)
        return by_benchmark


def columns_of(results: list[PublishedResult]) -> list[str]:
    """List every score that a row has, in order of first mention."""
    return list(dict.fromkeys(score for result in results for score in (*result.scores, *result.derived)))


@lru_cache(maxsize=1)
def load_published() -> Published:
    """Read and check the file."""
    return Published.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))
