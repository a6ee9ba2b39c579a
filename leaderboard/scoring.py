"""Score predictions for the board. Workers, Codabench, EvalAI and the results repository all use this function."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

import earthreason
from earthreason.errors import EarthReasonError
from earthreason.metrics.breakdowns import SHOWN, groups_of
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import NATIVE, PROTOCOLS, Protocol, get_protocol, protocol_of
from earthreason.metrics.references import References
from earthreason.metrics.result import NotScored, Result
from earthreason.metrics.scores import Scored, Terms, terms_of
from earthreason.metrics.statistics import RESAMPLES, confidence_intervals
from earthreason.predictions.reader import PredictionsFile

from .hidden import hide_labels, ignores_pixels, shown_figures
from .records import ALL, CURVE, ProtocolScores, ResultRecord, ScoreEstimate, Subset

ScoreKey = tuple[str, str, str]
"""Protocol, subset, score."""


def detailed_protocols(main: str) -> tuple[str, ...]:
    """Return the protocols with stored counts by question, for comparisons, and scores of groups."""
    return tuple(dict.fromkeys((main, NATIVE.name)))


@dataclass(frozen=True)
class Scoring:
    """A scored file.

    Attributes:
        record: the part that may be shown.
        final: the part that may be shown if the submission is the final one of its team; of open labels, the same.
        results: full results by protocol, for pictures and per-question tables of open splits.
    """

    record: ResultRecord
    final: ResultRecord
    results: dict[str, Result]

    def details(self) -> bytes:
        """Pack the integer counts of every question under the detailed protocols as an npz archive without pickles."""
        columns = {}
        for name in detailed_protocols(self.record.main_protocol):
            if name in self.results:
                counts = self.results[name].counts
                for column in fields(RegionCounts):
                    values = getattr(counts, column.name)
                    text = column.name == "sample_id"
                    columns[f"{name}/{column.name}"] = values.astype(str) if text else values
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **columns)
        return buffer.getvalue()


def score_predictions(
    predictions: PredictionsFile,
    references: References,
    *,
    config: str,
    split: str,
    hidden: bool,
    main: str | Protocol | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Scoring:
    """Score a predictions file under every protocol, with an interval beside every score.

    Args:
        predictions: an opened file.
        references: the truth of the split.
        config: the split's config.
        split: the split's name.
        hidden: whether the labels are secret; the result is then reduced by `hide_labels`.
        main: main protocol of the split; None stands for that of the config.
        resamples: bootstrap resamples over images.
        seed: seed of the resamples and of random questions.

    Raises:
        PredictionsError: the file has faults; the message lists them.
        EarthReasonError: the masks are on a grid that the main protocol does not accept.
    """
    main = protocol_of(config) if main is None else get_protocol(main)
    figures = shown_figures(main, ignored=ignores_pixels(references)) if hidden else None
    protocols = [main, *(PROTOCOLS[name] for name in (PROTOCOLS if figures is None else figures) if name != main.name)]
    resamples = 0 if hidden else resamples  # intervals of hidden splits come from the rounded scores
    scored = evaluate_protocols(predictions, references, protocols, resamples=0, seed=seed)
    results = {result.protocol.name: result for result in scored if isinstance(result, Result)}
    first = results[main.name]
    groups = list(_groups(first))
    estimates = _estimates(results, first, groups, resamples, seed, figures)
    record = ResultRecord(
        earthreason=earthreason.__version__,
        config=config,
        split=split,
        main_protocol=main.name,
        dataset_sha256=first.provenance["dataset_sha256"],
        predictions_sha256=first.provenance["predictions_sha256"],
        questions=first.questions,
        images=len(set(first.counts.sample_id.tolist())),
        empty_targets=first.empty_targets,
        resamples=resamples,
        seed=seed,
        subsets=[Subset(key=ALL, breakdown="", group="all questions", questions=first.questions)]
        + [subset for subset, _ in groups],
        protocols={
            name: ProtocolScores(grid=result.protocol.grid.name, questions=result.questions, scores=estimates[name])
            for name, result in results.items()
        },
        not_scored={r.protocol.name: _reason(r.reason, predictions) for r in scored if isinstance(r, NotScored)},
        curve=[float((first.scored.iou > edge).mean()) for edge in CURVE],
    )
    if hidden:
        return Scoring(hide_labels(record), hide_labels(record, final=True), results)
    return Scoring(record, record, results)


def _reason(message: str, predictions: PredictionsFile) -> str:
    """Shorten the reason why a protocol was not scored: drop the temporary path and the list of samples."""
    return message.replace(f"{predictions.source}: ", "").partition(": sample")[0]


def public_message(error: EarthReasonError, source: str) -> str:
    """Remove the server's path from an error message for the submitter."""
    return str(error).replace(source, "predictions")


def _groups(result: Result) -> Iterator[tuple[Subset, np.ndarray]]:
    """Yield every group of every breakdown with several groups, with its rows: (n,) bool."""
    questions = result.counts.target_index == 0
    for breakdown, group, rows in groups_of(result.counts.keys(), result.references):
        key = f"{breakdown.name}: {group}"
        yield Subset(key=key, breakdown=breakdown.title, group=group, questions=int((rows & questions).sum())), rows


def _estimates(
    results: dict[str, Result],
    first: Result,
    groups: list[tuple[Subset, np.ndarray]],
    resamples: int,
    seed: int,
    figures: Mapping[str, Sequence[str]] | None,
) -> dict[str, dict[str, dict[str, ScoreEstimate]]]:
    """Compute scores and intervals by protocol, subset and metric.

    A score of a group is the ratio of the same sums over its rows only, so one set of resampled images serves all.
    Protocols that score the same questions share their resamples too. The groups are those of `first`, the result under
    the main protocol; at native size, they have scores if the same questions are scored there. `figures` names the
    scores over all questions that may be computed; None stands for all.
    """
    rows_of_groups = first.counts.rows()
    terms: dict[ScoreKey, Terms] = {}
    for name, result in results.items():
        whole = dict(terms_of(result.scored))
        if figures is not None:
            whole = {metric: term for metric, term in whole.items() if metric in figures[name]}
        terms |= {(name, ALL, metric): term for metric, term in whole.items()}
        if name in detailed_protocols(first.protocol.name) and result.counts.rows() == rows_of_groups:
            for subset, rows in groups:
                for metric in (metric for metric in SHOWN if metric in whole):
                    terms[name, subset.key, metric] = _within(whole[metric], rows)
    values = {key: ratio for key, term in terms.items() if (ratio := term.ratio()) is not None}
    nested: dict[str, dict[str, dict[str, ScoreEstimate]]] = {name: {} for name in results}
    for same_questions in _by_questions(results):
        part = {key: terms[key] for key in values if key[0] in same_questions}
        sample_id = results[same_questions[0]].counts.sample_id
        names = _names_of_distinct(part)
        distinct = {name: part[key] for key, name in names.items()}
        intervals = confidence_intervals(distinct, sample_id, resamples, seed)
        for key in part:
            interval = intervals.get(names[key])
            ends = (None, None) if interval is None else (interval.low, interval.high)
            nested[key[0]].setdefault(key[1], {})[key[2]] = ScoreEstimate(values[key], *ends)
    return nested


def _names_of_distinct(terms: Mapping[ScoreKey, Terms]) -> dict[ScoreKey, str]:
    """Name every term, with the same name for equal ones, as half of them do not depend on the protocol."""
    names: dict[tuple[bytes, bytes, float, bool], str] = {}
    return {
        key: names.setdefault(
            (term.numerator.tobytes(), term.denominator.tobytes(), term.epsilon, term.proportion), str(len(names))
        )
        for key, term in terms.items()
    }


def _within(term: Terms, rows: np.ndarray) -> Terms:
    return replace(term, numerator=term.numerator * rows, denominator=term.denominator * rows)


def _by_questions(results: dict[str, Result]) -> list[list[str]]:
    """Group protocol names by the questions they score."""
    together: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for name, result in results.items():
        together.setdefault(tuple(result.counts.keys()), []).append(name)
    return list(together.values())


def read_details(content: bytes, protocol: str) -> Scored | None:
    """Read the counts from `Scoring.details`; return None if the protocol was not scored."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        if f"{protocol}/sample_id" not in archive:
            return None
        names = (column.name for column in fields(RegionCounts) if f"{protocol}/{column.name}" in archive)
        columns = {name: archive[f"{protocol}/{name}"] for name in names}
    return Scored(RegionCounts.from_columns(columns), get_protocol(protocol))
