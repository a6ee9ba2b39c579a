"""The scoring that the programs of all competition hosts share. It travels inside their bundles."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, get_protocol
from earthreason.metrics.references import read_references
from earthreason.metrics.scores import N_ACC, OVERLAP, T_ACC
from earthreason.metrics.statistics import FEW_IMAGES
from earthreason.plurals import count_of
from earthreason.predictions.reader import open_predictions

from ..accepted import ARCHIVES, DESCRIPTION, MASKS, TEXTS
from ..hidden import shown_figures
from ..records import ALL, ResultRecord, ScoreEstimate
from ..scoring import score_predictions

_KEYS = dict(zip((*OVERLAP, N_ACC.name, T_ACC.name), ("giou", "ciou", "pr50", "n_acc", "t_acc"), strict=True))


@dataclass(frozen=True)
class Column:
    """A column of a host's board."""

    protocol: str
    score: str
    title: str


def columns_for(main_protocol: str, *, ignored: bool = False) -> dict[str, Column]:
    """List the columns of a host's board by key. A hidden split shows these figures and no others.

    `ignored` is that of `shown_figures`.
    """
    columns: dict[str, Column] = {}
    for protocol, scores in shown_figures(get_protocol(main_protocol), ignored=ignored).items():
        key, title = ("", "") if protocol == main_protocol else ("_native", ", native size")
        columns |= {f"{_KEYS[score]}{key}": Column(protocol, score, f"{score}{title}") for score in scores}
    return columns


@dataclass(frozen=True)
class PhaseFacts:
    """A phase as its scoring program knows it.

    Attributes:
        config, split: the data.
        main_protocol: protocol of the first columns; the others are at native size.
        hidden: whether the labels are secret.
    """

    split: str
    hidden: bool = True
    config: str = "default"
    main_protocol: str = DEFAULT_PROTOCOL


def score_file(truth: Path, predictions: Path, phase: PhaseFacts) -> ResultRecord:
    """Score a file against a ground-truth file; the numbers are those of `earthreason-eval`, rounded if hidden.

    Raises:
        EarthReasonError: the file has faults.
    """
    references = read_references(truth)
    references.source = phase.split
    opened = open_predictions(predictions)
    return score_predictions(
        opened,
        references,
        config=phase.config,
        split=phase.split,
        hidden=phase.hidden,
        main=phase.main_protocol,
    ).record


class ScoringFailedError(EarthReasonError, RuntimeError):
    """The judge failed on a submission to a hidden split."""


@contextmanager
def quiet_errors(phase: PhaseFacts) -> Iterator[None]:
    """Replace an unexpected error on a hidden split by one that names its place in the code but quotes no value.

    Raises:
        ScoringFailedError: the block raised an error other than ours.
    """
    try:
        yield
    except EarthReasonError:
        raise
    except Exception as error:
        if not phase.hidden:
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        raise ScoringFailedError(f"scoring failed ({name}); report this to the organisers") from None


def columns_of(record: ResultRecord) -> dict[str, float]:
    """Collect the scores by column key, as fractions; undefined scores are left out."""
    columns = columns_for(record.main_protocol)
    estimates = {key: record.estimate(column.protocol, ALL, column.score) for key, column in columns.items()}
    return {key: estimate.value for key, estimate in estimates.items() if estimate is not None}


def find_predictions(folder: Path) -> Path:
    """Find the predictions of an unpacked submission: one file of a form in `accepted`, or the folder of masks.

    Raises:
        DataNotFoundError: there are none.
        DataFormatError: there are several.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__MACOSX" not in path.parts]
    whole = [path for path in files if path.name.lower().endswith((*TEXTS, *ARCHIVES)) and path.name != "metadata.json"]
    if len(whole) > 1:
        raise DataFormatError(f"the submission contains {len(whole)} predictions files; it must contain exactly one")
    if whole:
        return whole[0]
    masks = {path.parent for path in files if path.name.lower().endswith(MASKS)}
    if not masks:
        raise DataNotFoundError(f"the submission contains no predictions; zip one file of these forms: {DESCRIPTION}")
    return Path(os.path.commonpath(masks))


def run_codabench(arguments: list[str]) -> int:
    """Score as Codabench asks: read INPUT/ref and INPUT/res, write OUTPUT/scores.json; return the exit code.

    Participants may read what a scoring program writes. So of a hidden split it writes no page of details, and no
    message of an unexpected error, which could quote values.
    """
    source, target = Path(arguments[1]), Path(arguments[2])
    target.mkdir(parents=True, exist_ok=True)
    phase = PhaseFacts(**json.loads((source / "ref" / "split.json").read_text()))
    try:
        predictions = find_predictions(source / "res")
        with quiet_errors(phase):
            record = score_file(source / "ref" / "truth.json", predictions, phase)
    except EarthReasonError as error:
        sys.stderr.write(f"{str(error).replace(str(source), '')}\n")
        return 2
    (target / "scores.json").write_text(json.dumps(columns_of(record)))
    if not phase.hidden:
        (target / "detailed_results.html").write_text(detailed_page(record))
    return 0


def detailed_page(record: ResultRecord) -> str:
    """Lay out all scores of the main protocol with their intervals, as a small HTML page."""
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{_percent(cell.value)}<td>{_interval(cell)}</tr>"
        for name, cell in record.protocols[record.main_protocol].scores[ALL].items()
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Scores</title><style>body{font:15px system-ui}td{padding:.2em 1em}"
        f"</style><h1>{escape(record.split)}</h1><table><tr><th>score, %<th>value<th>95 % interval</tr>{rows}</table>"
        f"<p>{count_of(record.questions, 'question')}; earthreason {escape(record.earthreason)}</p>"
    )


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _interval(cell: ScoreEstimate) -> str:
    ends = cell.interval
    return FEW_IMAGES if ends is None else f"{_percent(ends.low)} to {_percent(ends.high)}"
