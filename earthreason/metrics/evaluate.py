"""The judge's front door: predictions and truth in, results out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.rle import decode_rle
from earthreason.metrics.breakdowns import break_down
from earthreason.metrics.counts import (
    GridCounts,
    Key,
    RegionCounts,
    count_regions,
    count_unanswered,
    join_tables,
    name_key,
)
from earthreason.metrics.inputs import PredictionsLike, ReferencesLike, as_predictions, as_references
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol
from earthreason.metrics.references import References
from earthreason.metrics.scores import Scored, compute_scores, get_metric, terms_of
from earthreason.metrics.statistics import RESAMPLES, Interval, bootstrap_intervals
from earthreason.predictions.reader import PredictionSource

if TYPE_CHECKING:
    import pandas as pd

MissingRule = Literal["error", "empty"]


@dataclass(frozen=True)
class Result:
    """Scores of one set of predictions under one protocol.

    Attributes:
        protocol: the rules.
        scored: the integers behind every score, one row per question.
        scores: fractions by name; None where undefined.
        intervals: 95 % bootstrap intervals over images, by name; empty where not asked for.
        source: the predictions.
        truth: where the ground truth came from.
        references: the truth, for breakdowns.
        provenance: what identifies the run: hashes, seed, number of resamples.
    """

    protocol: Protocol
    scored: Scored
    scores: dict[str, float | None]
    intervals: dict[str, Interval]
    source: str
    truth: str
    references: References
    provenance: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float | None:
        """A score by any of its names: `result["gIoU"]`, `result["oIoU"]`."""
        return self.scores.get(get_metric(metric).name)

    @property
    def counts(self) -> RegionCounts:
        return self.scored.counts

    @property
    def missing(self) -> int:
        """Questions without a prediction, scored as empty."""
        return int((~self.counts.answered).sum())

    @property
    def empty_targets(self) -> int:
        return int(self.counts.truth_empty.sum())

    @cached_property
    def breakdowns(self) -> dict[str, pd.DataFrame]:
        """Scores by category, target area, image size, GSD, reasoning type, question; see `break_down`."""
        return break_down(self.scored, self.references)

    @cached_property
    def per_sample(self) -> pd.DataFrame:
        """One row per question: ids, IoU, the integer counts and the facts of its sample."""
        import pandas as pd

        counts = self.counts
        truths = [self.references[sample_id] for sample_id in counts.sample_id]
        columns = {
            "sample_id": counts.sample_id,
            "question_index": counts.question_index,
            "iou": self.scored.iou,
            "intersection": counts.intersection,
            "union": counts.union,
            "prediction_area": counts.prediction_area,
            "truth_area": counts.truth_area,
            "truth_empty": counts.truth_empty,
            "prediction_empty": counts.prediction_empty,
            "answered": counts.answered,
            "height": [truth.height for truth in truths],
            "width": [truth.width for truth in truths],
            "category": [truth.category for truth in truths],
            "ground_resolution": [truth.ground_resolution for truth in truths],
            "reasoning_type": [truth.reasoning_type for truth in truths],
        }
        return pd.DataFrame(columns)

    def to_frame(self) -> pd.DataFrame:
        """The scores: a row a metric with value, low and high, as fractions."""
        import pandas as pd

        rows = [
            {
                "metric": name,
                "value": value,
                "low": self.intervals[name].low if name in self.intervals else None,
                "high": self.intervals[name].high if name in self.intervals else None,
            }
            for name, value in self.scores.items()
        ]
        return pd.DataFrame(rows).set_index("metric")

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        from earthreason import __version__

        return {
            "earthreason": __version__,
            "protocol": self.protocol.name,
            "grid": self.protocol.grid.name,
            "predictions": self.source,
            "ground_truth": self.truth,
            "questions": len(self.counts),
            "images": len(set(self.counts.sample_id.tolist())),
            "empty_targets": self.empty_targets,
            "missing": self.missing,
            "scores": self.scores,
            "intervals": {name: [interval.low, interval.high] for name, interval in self.intervals.items()},
            "breakdowns": {
                name: [
                    {"group": group, **_plain(row)}
                    for group, row in zip(frame.index, frame.to_dict("records"), strict=True)
                ]
                for name, frame in self.breakdowns.items()
            },
            "provenance": self.provenance,
        }


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """A frame's row as JSON values: numpy scalars and NaN are not JSON."""
    return {
        str(key): None
        if isinstance(value, float) and np.isnan(value)
        else value.item()
        if hasattr(value, "item")
        else value
        for key, value in row.items()
    }


@dataclass(frozen=True)
class NotScored:
    """A protocol that these predictions cannot be scored with, and why."""

    protocol: Protocol
    reason: str


def evaluate(
    predictions: PredictionsLike,
    references: ReferencesLike,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    missing: MissingRule = "error",
    resamples: int = RESAMPLES,
    seed: int = 0,
    workers: int = 1,
    boundary: bool = False,
) -> Result:
    """Score predictions.

    Args:
        predictions: a file (JSON, JSONL, folder or zip of PNGs), `{sample_id: mask or None}`, or prediction records.
        references: a loaded split, a ground-truth file, or `{sample_id: mask}`. Masks are arrays, pictures or RLE.
        protocol: the rules, by name or as a `Protocol` of your own.
        missing: `error` refuses unanswered questions, `empty` scores them as "no target".
        resamples: of the bootstrap intervals; 0 leaves them out.
        seed: of the resamples and of the `random` question policy.
        workers: threads.
        boundary: also compute Boundary IoU, which decodes every mask.

    Raises:
        PredictionsError: what is wrong with the predictions, all of it together.
        EarthReasonError: the masks lie on another grid than the protocol's.

    >>> import numpy as np
    >>> truth = np.zeros((4, 4), bool)
    >>> truth[:2] = True
    >>> result = evaluate({"field": truth, "sea": None}, {"field": truth, "sea": np.zeros((4, 4))}, "native")
    >>> result["gIoU"], result["N-acc"]
    (1.0, 1.0)
    """
    rules = get_protocol(protocol) if isinstance(protocol, str) else protocol
    source, truth = as_predictions(predictions), as_references(references)
    results = evaluate_protocols(
        source, truth, [rules], missing=missing, resamples=resamples, seed=seed, workers=workers, boundary=boundary
    )
    result = results[0]
    assert isinstance(result, Result)  # the first protocol is scored or an error is raised
    return result


def evaluate_protocols(
    predictions: PredictionSource,
    references: References,
    protocols: Sequence[Protocol],
    *,
    missing: MissingRule = "error",
    resamples: int = RESAMPLES,
    seed: int = 0,
    workers: int = 1,
    boundary: bool = False,
) -> list[Result | NotScored]:
    """Score under several protocols with one pass over the masks; arguments as `evaluate`.

    The first protocol has to be scored, with intervals; one of the others that asks for questions the file does not
    answer, or compares on another grid than the file's, is returned as `NotScored`.
    """
    usable = [rules for rules in protocols if predictions.grid in (rules.grid, _NATIVE_GRID)]
    if protocols[0] not in usable:
        raise EarthReasonError(_wrong_grid(predictions, protocols[0]))
    grids = list(dict.fromkeys(rules.grid for rules in usable))
    with ThreadPoolExecutor(1) as pool:  # hashing releases the interpreter lock, so it costs no wall time
        hashes = pool.submit(predictions.fingerprint), pool.submit(references.fingerprint)
        tables = count_regions(predictions, references, grids, workers)
    tables, unanswered = _answer_all(predictions, references, usable, tables, missing, seed)
    bands = _count_bands(predictions, references) if boundary else None
    provenance = {
        "predictions_sha256": hashes[0].result(),
        "dataset_sha256": hashes[1].result(),
        "missing": missing,
        "resamples": resamples,
        "seed": seed,
    }
    results: list[Result | NotScored] = []
    for rules in protocols:
        if rules not in usable:
            results.append(NotScored(rules, _wrong_grid(predictions, rules)))
        elif rules.name in unanswered:
            results.append(NotScored(rules, unanswered[rules.name]))
        else:
            wanted = resamples if rules is protocols[0] else 0
            asked = scored_questions(references, rules, seed)
            table = _rows_of(tables[rules.grid], asked)
            results.append(_score(table, rules, predictions, references, wanted, seed, bands, provenance))
    return results


_NATIVE_GRID = get_protocol("native").grid


def _wrong_grid(predictions: PredictionSource, rules: Protocol) -> str:
    return (
        f"{predictions.source}: its masks are on the {predictions.grid.name} grid, but protocol {rules.name} compares "
        f"on {rules.grid.name}; predict at the images' own size to use every protocol"
    )


def scored_questions(references: References, protocol: Protocol, seed: int = 0) -> list[Key]:
    """Which questions the protocol asks, in the order of the references."""
    if protocol.questions == "all":
        return [(r.sample_id, index) for r in references.values() for index in range(r.question_count)]
    if protocol.questions == "random":
        generator = np.random.default_rng(seed)
        return [(r.sample_id, int(generator.integers(r.question_count))) for r in references.values()]
    return [(sample_id, 0) for sample_id in references]


def _answer_all(
    predictions: PredictionSource,
    references: References,
    protocols: Sequence[Protocol],
    tables: GridCounts,
    missing: MissingRule,
    seed: int,
) -> tuple[GridCounts, dict[str, str]]:
    """Add rows for unanswered questions where they count as empty; say which protocols lack answers."""
    answered = set(next(iter(tables.values())).keys())
    lacking = {}
    for rules in protocols:
        asked = scored_questions(references, rules, seed)
        lacking[rules] = [key for key in asked if key not in answered]
    if missing == "empty":
        keys = sorted({key for keys in lacking.values() for key in keys})
        if keys:
            parts = [tables, count_unanswered(keys, references, list(tables))]
            tables = join_tables(parts, list(tables))
        return tables, {}
    reasons = {
        rules.name: _describe_unanswered(keys, len(references), rules) for rules, keys in lacking.items() if keys
    }
    if protocols[0].name in reasons:
        raise PredictionsError(predictions.source, [reasons[protocols[0].name]])
    return tables, reasons


def _describe_unanswered(unanswered: list[Key], samples: int, protocol: Protocol) -> str:
    listed = ", ".join(name_key(key) for key in unanswered[:3])
    dots = ", ..." if len(unanswered) > 3 else ""
    asked = {"first": "its first question", "random": "one question, drawn by seed", "all": "every question"}
    remedy = "" if protocol.questions == "first" else " with `predict --questions all`"
    return (
        f"{len(unanswered)} unanswered, of {samples} samples each asked {asked[protocol.questions]}: {listed}{dots}; "
        f"predict them{remedy}, or score them as empty with --missing empty"
    )


def _rows_of(table: RegionCounts, asked: Sequence[Key]) -> RegionCounts:
    wanted = set(asked)
    return table.select(np.array([key in wanted for key in table.keys()], bool))  # noqa: SIM118


def _count_bands(predictions: PredictionSource, references: References) -> dict[Key, tuple[int, int]]:
    from earthreason.metrics.boundary import count_boundaries

    if predictions.grid.kind != "native":
        raise EarthReasonError(f"{predictions.source}: Boundary IoU needs masks at the images' own size")
    return count_boundaries(predictions, references)


def _score(
    table: RegionCounts,
    rules: Protocol,
    predictions: PredictionSource,
    references: References,
    resamples: int,
    seed: int,
    bands: dict[Key, tuple[int, int]] | None,
    provenance: dict[str, Any],
) -> Result:
    scored = Scored(table, rules, None if bands is None else _boundary_column(table, references, bands))
    terms = terms_of(scored)
    defined = {name: term for name, term in terms.items() if term.ratio() is not None}
    intervals = bootstrap_intervals(defined, table.sample_id, resamples, seed) if resamples else {}
    return Result(
        rules,
        scored,
        compute_scores(terms),
        intervals,
        predictions.source,
        references.source,
        references,
        dict(provenance),
    )


def _boundary_column(table: RegionCounts, references: References, bands: dict[Key, tuple[int, int]]) -> np.ndarray:
    from earthreason.metrics.boundary import boundary_counts

    def of(key: Key) -> tuple[int, int]:
        return bands[key] if key in bands else boundary_counts(None, decode_rle(references[key[0]].segmentation))

    return np.array([of(key) for key in table.keys()], np.float64).reshape(-1, 2)  # noqa: SIM118
