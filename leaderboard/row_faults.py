"""What can be wrong with the result of a row that somebody else wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.scores import METRICS
from earthreason.plurals import count_of

from .records import ALL, Name, ResultRecord, ScoreEstimate, Text

_ROUNDING = 1e-4
_NAME, _TEXT = TypeAdapter(Name), TypeAdapter(Text)


def faults_of(record: ResultRecord) -> Iterator[str]:
    """Yield what is wrong with a result that has the right form, one line each."""
    yield from _text_faults(record)
    main = record.main_protocol
    if main not in PROTOCOLS:
        yield f"unknown main protocol {main!r}"
    if main not in record.protocols:
        yield f"no scores under the main protocol, {main}"
    subsets = {subset.key: subset.questions for subset in record.subsets}
    if subsets.get(ALL) != record.questions or max(subsets.values()) > record.questions:
        yield f"the subsets do not fit {count_of(record.questions, 'question')}"
    if max(record.images, record.empty_targets) > record.questions:
        empty = count_of(record.empty_targets, "question without a target", "questions without a target")
        yield f"{count_of(record.images, 'image')} and {empty} in {count_of(record.questions, 'question')}"
    if record.hides_labels and record.curve:
        yield "rounded because the labels are hidden, but it has a curve"
    if record.curve != sorted(record.curve, reverse=True):
        yield "the curve must not rise"
    for name, scores in record.protocols.items():
        if name not in PROTOCOLS:
            yield f"unknown protocol {name!r}"
        elif scores.grid != PROTOCOLS[name].grid.name:
            yield f"{name}: compared on {scores.grid}, not on {PROTOCOLS[name].grid.name}"
        if ALL not in scores.scores:
            yield f"{name}: no scores over all questions"
        for key, cells in scores.scores.items():
            if key not in subsets:
                yield f"{name}: the subset {key!r} is not listed"
            yield from _score_faults(f"{name}, {key}", cells, record.decimals)


def _score_faults(place: str, cells: dict[str, ScoreEstimate], decimals: int | None) -> Iterator[str]:
    for metric, (value, low, high) in cells.items():
        if metric not in METRICS:
            yield f"{place}: unknown score {metric!r}"
        elif (low is None) != (high is None):
            yield f"{place}: the interval of {metric} lacks one end"
        elif low is not None and high is not None and not low - _ROUNDING <= value <= high + _ROUNDING:
            yield f"{place}: {metric} is outside its interval: {[low, value, high]}"
        if decimals is not None and any(end is not None and end != round(end, decimals) for end in (value, low, high)):
            yield f"{place}: {metric} has more than the {decimals} decimals that the row states"


def _text_faults(record: ResultRecord) -> Iterator[str]:
    """Check the texts of a result as those of a submission are checked; they become names of pages."""
    for place, text in (("config", record.config), ("split", record.split), ("earthreason", record.earthreason)):
        if "/" in text or not _fits(_NAME, text):
            yield f"{place}: must be 1 to 80 characters that show, without a slash"
    for subset in record.subsets:
        if not all(_fits(_TEXT, text) for text in (subset.key, subset.breakdown, subset.group)):
            yield f"the subset {subset.key!r} has characters that show nothing"
    repeated = [key for key, times in Counter(subset.key for subset in record.subsets).items() if times > 1]
    if repeated:
        yield f"subsets are listed twice: {', '.join(map(repr, repeated))}"
    for name, reason in record.not_scored.items():
        if name not in PROTOCOLS:
            yield f"not_scored: unknown protocol {name!r}"
        elif not _fits(_TEXT, reason):
            yield f"not_scored: the reason for {name} is over 1,000 characters, or some of them show nothing"


def _fits(kind: TypeAdapter[str], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True
