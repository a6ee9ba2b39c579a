"""Scores of predictions against ground truth, under one or several protocols."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal

import numpy as np

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.masks.rle import decode_rle
from earthreason.metrics.arguments import (
    MOST_RESAMPLES,
    MOST_WORKERS,
    check_flag,
    check_missing,
    check_whole_number,
)
from earthreason.metrics.counted import CountedPredictions
from earthreason.metrics.counting import count_regions, count_unanswered
from earthreason.metrics.counts import Key, RegionCounts, ViewCounts, join_tables, name_key
from earthreason.metrics.inputs import PredictionsLike, ReferencesLike, as_predictions, as_references
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, NATIVE, Protocol, get_protocols
from earthreason.metrics.references import References
from earthreason.metrics.result import NotScored, Result
from earthreason.metrics.scores import Scored, compute_scores, terms_of
from earthreason.metrics.statistics import FEW_IMAGES, RESAMPLES, confidence_intervals, metrics_with_few_images
from earthreason.plurals import count_of
from earthreason.predictions.instances import Instances, check_reading
from earthreason.predictions.reader import PredictionSource

MissingRule = Literal["error", "empty"]


def evaluate(
    predictions: PredictionsLike,
    references: ReferencesLike,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    missing: MissingRule = "error",
    instances: Instances = "error",
    resamples: int = RESAMPLES,
    seed: int = 0,
    workers: int = 1,
    boundary: bool = False,
) -> Result:
    """Score predictions.

    Args:
        predictions: a predictions file, a folder or archive of masks, `{sample_id: mask, list of masks or None}`,
            prediction records, or merged counts of `earthreason-eval --counts`.
        references: a ground-truth file, `{sample_id: mask}`, or a split of `datasets`, loaded or streamed, with the
            columns `sample_id`, `mask` and `questions`. Masks are (height, width) arrays, pictures or RLE.
        protocol: name of the scoring rules, or a `Protocol` of your own.
        missing: `error` refuses predictions that leave questions unanswered; `empty` scores those as "no target".
        instances: `error` refuses several predictions for one question, as COCO's instances are; `union` merges them.
            Opened predictions keep their own rule under `error`. A dict cannot be merged.
        resamples: number of bootstrap resamples; 0 computes no intervals, of proportions neither.
        seed: seed of the resamples and of the `random` question policy.
        workers: number of threads.
        boundary: also compute Boundary IoU, which decodes every mask.

    Raises:
        PredictionsError: the predictions have faults; lists all of them.
        UnknownNameError: no protocol has the name, or `missing` or `instances` is no rule.
        EarthReasonError: the masks are on another grid than the protocol's, the references are several splits, or an
            option has an invalid value.

    >>> import numpy as np
    >>> truth = np.zeros((4, 4), bool)
    >>> truth[:2] = True
    >>> result = evaluate({"field": truth, "sea": None}, {"field": truth, "sea": np.zeros((4, 4))}, "native")
    >>> result["gIoU"], result["N-acc"]
    (1.0, 1.0)
    """
    (result,) = evaluate_protocols(
        predictions,
        references,
        [protocol],
        missing=missing,
        instances=instances,
        resamples=resamples,
        seed=seed,
        workers=workers,
        boundary=boundary,
    )
    assert isinstance(result, Result)  # the first protocol is scored or an error is raised
    return result


def evaluate_protocols(
    predictions: PredictionsLike,
    references: ReferencesLike,
    protocols: Sequence[str | Protocol],
    *,
    missing: MissingRule = "error",
    instances: Instances = "error",
    resamples: int = RESAMPLES,
    seed: int = 0,
    workers: int = 1,
    boundary: bool = False,
) -> list[Result | NotScored]:
    """Score under several protocols in one pass over the masks. The arguments are those of `evaluate`.

    The first protocol must apply; its result has intervals. Another one that needs questions without a prediction, or
    another grid than the masks', is returned as `NotScored`.

    Args:
        predictions: as for `evaluate`.
        references: as for `evaluate`.
        protocols: names of scoring rules or `Protocol` values, at least one.
        missing: as for `evaluate`.
        instances: as for `evaluate`.
        resamples: as for `evaluate`; the intervals are those of the first protocol.
        seed: as for `evaluate`.
        workers: as for `evaluate`.
        boundary: as for `evaluate`.

    Returns:
        One result per protocol, in their order.

    Raises:
        EarthReasonError: as `evaluate`, or `protocols` is empty.
    """
    check_missing(missing)
    check_reading(instances)
    options: dict[str, Any] = {
        "missing": missing,
        "resamples": check_whole_number("resamples", resamples, most=MOST_RESAMPLES),
        "seed": check_whole_number("seed", seed),
    }
    workers, boundary = check_whole_number("workers", workers, 1, MOST_WORKERS), check_flag("boundary", boundary)
    listed = get_protocols(protocols)
    if boundary and listed[0].unit == "mask":
        raise EarthReasonError(
            f"Boundary IoU compares whole answers, but {listed[0].name} scores each mask on its own; leave boundary "
            "out, or choose another protocol"
        )
    source, truth = as_predictions(predictions, instances), as_references(references)
    return _score(source, truth, listed, options | describe_reading(source, instances), workers, boundary)


def _score(
    predictions: PredictionSource,
    references: References,
    protocols: Sequence[Protocol],
    options: dict[str, Any],
    workers: int,
    boundary: bool,
) -> list[Result | NotScored]:
    usable = _usable(predictions, protocols)
    views = list(dict.fromkeys(rules.view for rules in usable))
    with ThreadPoolExecutor(1) as pool:  # hashing releases the interpreter lock, so it costs no wall time
        hashes = pool.submit(predictions.fingerprint), pool.submit(references.fingerprint)
        if isinstance(predictions, CountedPredictions):
            tables = predictions.tables(views, references)
        else:
            tables = count_regions(predictions, references, views, workers)
    ignored = boundary and any(reference.ignore is not None for reference in references.values())
    kinds = {ignored and rules.ignore for rules in usable if boundary}
    sha256 = hashes[0].result(), hashes[1].result()

    def bands() -> Bands:
        counted = {leave_out: _count_bands(predictions, references, leave_out) for leave_out in kinds}
        return {rules: counted.get(ignored and rules.ignore) for rules in usable}

    return score_counts(predictions, references, protocols, tables, options, sha256, bands)


Bands = dict[Protocol, dict[Key, tuple[int, int]] | None]
"""Intersection and union of the boundary bands of every question, by protocol."""


def _usable(predictions: PredictionSource, protocols: Sequence[Protocol]) -> list[Protocol]:
    usable = [rules for rules in protocols if rules.view.accepts(predictions.grid)]
    if protocols[0] not in usable:
        raise EarthReasonError(_wrong_grid(predictions, protocols[0]))
    return usable


def score_counts(
    predictions: PredictionSource,
    references: References,
    protocols: Sequence[Protocol],
    tables: ViewCounts,
    options: dict[str, Any],
    sha256: tuple[str | None, str | None] | None = None,
    bands: Callable[[], Bands] = dict,
) -> list[Result | NotScored]:
    """Score counts. The arguments are those of `evaluate_protocols`, checked, and what is known already.

    Args:
        predictions: what was counted.
        references: ground truth; its masks are read only for questions that have no counts.
        protocols: scoring rules.
        tables: counts of every view that the protocols need.
        options: missing, resamples, seed, and how the predictions were read.
        sha256: hashes of predictions and ground truth; None computes them.
        bands: function that counts the bands for Boundary IoU.
    """
    usable = _usable(predictions, protocols)
    resamples, seed = options["resamples"], options["seed"]
    lacking = {
        rules: keys for rules in usable if (keys := _unanswered(references, tables[usable[0].view], rules, seed))
    }
    if lacking and options["missing"] == "empty":
        keys = sorted({key for unanswered in lacking.values() for key in unanswered})
        tables = join_tables([tables, count_unanswered(keys, references, list(tables), predictions.grid)])
        lacking = {}
    reasons = {rules: _describe_unanswered(keys, len(references), rules) for rules, keys in lacking.items()}
    if protocols[0] in reasons:
        raise PredictionsError(predictions.source, [reasons[protocols[0]]])
    counted_bands = bands()
    known = sha256 or (predictions.fingerprint(), references.fingerprint())
    provenance = {
        **_describe_run(predictions, references),
        "predictions_sha256": known[0],
        "dataset_sha256": known[1],
        **options,
    }
    results: list[Result | NotScored] = []
    for rules in protocols:
        if rules not in usable or rules in reasons:
            results.append(NotScored(rules, reasons.get(rules) or _wrong_grid(predictions, rules)))
            continue
        table = _asked_rows(references, tables[rules.view], rules, seed)
        # The bands are those of whole answers, so protocols that score each mask have none.
        own_bands = None if rules.unit == "mask" else counted_bands.get(rules)
        column = None if own_bands is None else _boundary_column(table.keys(), references, own_bands)
        resampled = resamples if rules is protocols[0] else 0
        results.append(_result_of(Scored(table, rules, column), predictions.source, references, provenance, resampled))
    return results


def _result_of(
    scored: Scored, source: str, references: References, provenance: Mapping[str, Any], resamples: int
) -> Result:
    terms, ids = terms_of(scored), scored.counts.sample_id
    intervals = confidence_intervals(terms, ids, resamples, provenance["seed"])
    few = dict.fromkeys(metrics_with_few_images(terms, ids) if resamples else [], FEW_IMAGES)
    named = source, references.source, references
    return Result(scored.protocol, scored, compute_scores(terms), intervals, *named, dict(provenance), few)


def _describe_run(predictions: PredictionSource, references: References) -> dict[str, Any]:
    """Name the model as its predictions do, the data as the ground truth does, and the time."""
    return {
        "model": predictions.info.get("model"),
        "config": references.config,
        "split": references.split,
        "revision": references.revision,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_reading(predictions: PredictionSource, instances: Instances) -> dict[str, Any]:
    """Describe how the predictions were read, which their hash does not contain."""
    names = getattr(predictions, "names", None)
    text = None if names is None else json.dumps(dict(names), sort_keys=True)
    return {
        "instances": getattr(predictions, "instances", instances),
        "names_sha256": text and hashlib.sha256(text.encode()).hexdigest(),
    }


def _wrong_grid(predictions: PredictionSource, rules: Protocol) -> str:
    return (
        f"{predictions.source}: its masks are on the {predictions.grid.name} grid, but protocol {rules.name} compares "
        f"on {rules.grid.name}; predict at the images' own size to use every protocol"
    )


def scored_questions(references: References, protocol: Protocol, seed: int = 0) -> list[Key]:
    """List the questions that the protocol scores, in the order of the references."""
    sample_ids = list(references)
    chosen = choose_questions([r.question_count for r in references.values()], protocol, seed)
    return [(sample_ids[sample], index) for sample, index in chosen]


def choose_questions(counts: Sequence[int], protocol: Protocol, seed: int = 0) -> list[tuple[int, int]]:
    """List the questions that the protocol scores, each as the position of its sample and its own index.

    Args:
        counts: number of questions of each sample, in the order of the split.
        protocol: scoring rules.
        seed: seed of the `random` question policy.
    """
    if protocol.questions == "all":
        return [(sample, index) for sample, count in enumerate(counts) for index in range(count)]
    if protocol.questions == "random":
        generator = np.random.default_rng(seed)
        return [(sample, int(generator.integers(count))) for sample, count in enumerate(counts)]
    return [(sample, 0) for sample in range(len(counts))]


def _unanswered(references: References, table: RegionCounts, protocol: Protocol, seed: int) -> list[Key]:
    """List the questions that the protocol scores and that have no counts, in the order of the references."""
    if protocol.questions != "random":  # the usual case, without a key per question in memory
        if protocol.questions == "first":
            wanted: Iterator[Key] = ((sample_id, 0) for sample_id in references)
        else:
            wanted = ((name, index) for name, r in references.items() for index in range(r.question_count))
        whole = table.target_index == 0
        whole &= (table.question_index == 0) | (protocol.questions == "all")
        given = zip(table.sample_id[whole], table.question_index[whole], strict=True)
        if all(map(operator.eq, chain(wanted, [None]), chain(given, [None]))):
            return []
    if protocol.questions == "first":  # without a key per question, which would be most of the memory of a large set
        answered = set(table.sample_id[table.question_index == 0].tolist())
        return [(sample_id, 0) for sample_id in references if sample_id not in answered]
    known = set(table.keys())
    return [key for key in scored_questions(references, protocol, seed) if key not in known]


def _asked_rows(references: References, table: RegionCounts, protocol: Protocol, seed: int) -> RegionCounts:
    """Return the rows of the questions that the protocol scores."""
    if protocol.questions == "random":
        wanted = set(scored_questions(references, protocol, seed))
        return table.select(np.array([key in wanted for key in table.keys()], bool))  # noqa: SIM118 - no dict
    rows = table.question_index == 0 if protocol.questions == "first" else np.ones(len(table), bool)
    return table if rows.all() else table.select(rows)


def _describe_unanswered(unanswered: list[Key], samples: int, protocol: Protocol) -> str:
    listed = ", ".join(name_key(key) for key in unanswered[:3])
    dots = ", ..." if len(unanswered) > 3 else ""
    asked = {"first": "its first question", "random": "one question, drawn by seed", "all": "every question"}
    remedy = "" if protocol.questions == "first" else " with `predict --questions all`"
    return (
        f"{len(unanswered):,} unanswered, of {count_of(samples, 'sample')} each asked {asked[protocol.questions]}: "
        f"{listed}{dots}; "
        f"predict them{remedy}, or score them as empty with --missing empty"
    )


def _count_bands(predictions: PredictionSource, references: References, leave_out: bool) -> dict[Key, tuple[int, int]]:
    from earthreason.metrics.boundary import count_boundaries

    if predictions.grid != NATIVE.grid:
        raise EarthReasonError(f"{predictions.source}: Boundary IoU needs masks at the images' own size")
    return count_boundaries(predictions, references, leave_out=leave_out)


def _boundary_column(keys: list[Key], references: References, bands: dict[Key, tuple[int, int]]) -> np.ndarray:
    from earthreason.metrics.boundary import boundary_counts

    for key in keys:
        if key not in bands:  # unanswered
            bands[key] = boundary_counts(None, decode_rle(references[key[0]].segmentation))
    return np.array([bands[key] for key in keys], np.float64).reshape(-1, 2)
