"""Compare the measurements with the goals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.gpu.collect.cells import DASH, LABELS, number
from benchmarks.gpu.collect.rows import DTYPES, Row, curve_points, number_at, ratio_at, reference_like, set_name

GOAL_BATCH = 8
"""Batch at which inference is judged if both implementations ran it; otherwise the largest batch that both ran."""
LEAST_EMPTIES = 270
"""Smallest number of empty targets that counts for the goal on 300, because the number is random."""
FLOOR = 0.9
"""T-acc at which N-acc is read."""


@dataclass(frozen=True)
class Goal:
    """A goal and its result.

    Attributes:
        what: quantity to measure.
        required: required value, formatted.
        measured: measured value, formatted; a dash if not measured.
        case: model, data or settings of the measurement; a dash if not measured.
        met: whether the goal was met; None if not measured.
    """

    what: str
    required: str
    measured: str = DASH
    case: str = DASH
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """`met`, `missed` or `not run`."""
        return "not run" if self.met is None else "met" if self.met else "missed"


def judge_goals(inference: list[Row], end_to_end: list[Row], training: list[Row], scores: list[Row]) -> list[Goal]:
    """Compare the rows of the steps with the goals."""
    return [
        *_inference_goals(inference),
        _end_to_end_goal(end_to_end),
        _training_goal(training),
        *_tiny_goals(scores),
    ]


def _inference_goals(rows: list[Row]) -> list[Goal]:
    """Judge our fastest precision against the reference in float32, then bfloat16 against bfloat16, and its memory."""
    goals = []
    for what, least, dtype, ours in (
        ("speed-up of inference over the reference in float32", 6.0, "float32", DTYPES),
        ("speed-up of inference over the reference in bfloat16", 2.5, "bfloat16", ("bfloat16",)),
    ):
        pair = _rivals(rows, dtype, ours)
        ratio = ratio_at(pair[0], pair[1], "images_per_s") if pair else None
        goals.append(_at_least(what, least, ratio, _case(pair[0]) if pair else "", 3))
    pair = _rivals(rows, "bfloat16", ("bfloat16",))
    share = ratio_at(pair[0], pair[1], "peak_mib") if pair else None
    what = "peak memory of inference in bfloat16, as a share of the reference's"
    if pair is None or share is None:
        return [*goals, Goal(what, "at most 0.5")]
    return [*goals, Goal(what, "at most 0.5", f"{share:.3f}", _case(pair[0]), share <= 0.5)]


def _rivals(rows: list[Row], dtype: str, ours: Sequence[str]) -> tuple[Row, Row] | None:
    """Return our fastest row and that of the reference, at `GOAL_BATCH` or the largest batch that both ran."""
    done = [row for row in rows if number_at(row, "images_per_s") and number_at(row, "batch") and "way" in row]
    references = {row["batch"]: row for row in done if row["way"] == "reference" and row.get("dtype") == dtype}
    mine = [row for row in done if row["way"] != "reference" and row.get("dtype") in ours]
    both = [row for row in mine if row["batch"] in references]
    if not both:
        return None
    batches = {row["batch"] for row in both}
    batch = GOAL_BATCH if GOAL_BATCH in batches else max(batches)
    fastest = max((row for row in both if row["batch"] == batch), key=lambda row: row["images_per_s"])
    return fastest, references[batch]


def _end_to_end_goal(rows: list[Row]) -> Goal:
    timed = [row for row in rows if number_at(row, "images_per_s") is not None]
    best = max(timed, key=lambda row: row["images_per_s"], default=None)
    what = "images per second from files to masks"
    if best is None:
        return _at_least(what, 40, None, "", 1)
    side = f" of {number(best['side'])} px" if number_at(best, "side") else ""
    return _at_least(what, 40, best["images_per_s"], f"{number(best.get('images'))} images{side}", 1)


def _training_goal(rows: list[Row]) -> Goal:
    """Judge the largest batch that both implementations ran, if possible without checkpointing."""
    best: tuple[tuple[bool, float], float, Row] | None = None
    for row in rows:
        other = reference_like(rows, row, "dtype", "batch", "checkpointing")
        ratio = ratio_at(row, other, "samples_per_s") if other and row.get("way") != "reference" else None
        if ratio is not None:
            rank = (not row.get("checkpointing"), number_at(row, "batch") or 0.0)
            if best is None or (rank, ratio) > best[:2]:
                best = (rank, ratio, row)
    what = "speed-up of a training step over the reference"
    return _at_least(what, 2, best[1] if best else None, _case(best[2]) if best else "", 3)


def _tiny_goals(rows: list[Row]) -> list[Goal]:
    chosen = [row for row in rows if number_at(row, "gIoU") is not None and row.get("rule") != "fixed"]
    goals = [
        _at_least(f"gIoU of `tiny` on {set_name(row)}", 0.55, row["gIoU"], f"{number(row.get('count'))} scenes", 3)
        for row in chosen
    ] or [_at_least("gIoU of `tiny`", 0.55, None, "", 2)]
    best = max(best_presence(rows), key=lambda entry: entry[1], default=None)
    what = "N-acc of `tiny` at T-acc 0.9, on about 300 empty targets"
    if best is None:
        return [*goals, _at_least(what, 0.8, None, "", 2)]
    name, empties, value = best
    goal = _at_least(what, 0.8, value, f"{name}, {empties:,.0f} empty targets", 3)
    if empties < LEAST_EMPTIES:
        goal = replace(goal, case=f"{goal.case}: too few to judge", met=None)
    return [*goals, goal]


def best_presence(rows: list[Row]) -> Iterator[tuple[str, float, float]]:
    """Yield each set's name, empty targets and best N-acc at T-acc 0.9, as recorded or read off its curve."""
    empties = {set_name(row): value for row in rows if (value := number_at(row, "empties")) is not None}
    best = {set_name(row): value for row in rows if (value := number_at(row, "n_acc_at_t_acc_90")) is not None}
    for row in rows:
        if set_name(row) not in best and (points := curve_points(row)):
            best[set_name(row)] = max((n for n, t in points if t >= FLOOR), default=0.0)
    for name, value in best.items():
        yield name, empties.get(name, 0.0), value


def _at_least(what: str, least: float, measured: float | None, case: str, digits: int) -> Goal:
    if measured is None or not math.isfinite(measured):
        return Goal(what, f"at least {least:g}")
    return Goal(what, f"at least {least:g}", f"{measured:.{digits}f}", case or DASH, measured >= least)


def _case(row: Row) -> str:
    """Describe a measurement."""
    way = LABELS.get(row.get("way", ""), str(row.get("way")))
    words = [way, LABELS.get(row.get("dtype", ""), str(row.get("dtype"))), f"batch {row.get('batch')}"]
    return ", ".join([*words, "checkpointing"] if row.get("checkpointing") else words)
