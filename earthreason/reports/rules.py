"""Rules of protocols in words."""

from __future__ import annotations

from collections.abc import Collection

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols import Protocol

QUESTIONS = {"first": "first question", "random": "a random question", "all": "every question"}


def place_of(grid: Grid) -> str:
    """Say in words on which grid masks are compared."""
    return "compared at each image's own size" if grid.kind == "native" else f"compared on {grid.name}"


def rules_of(protocol: Protocol) -> dict[str, str]:
    """Describe every rule of a protocol, by the name of what it governs."""
    hit = "≥" if protocol.threshold_inclusive else ">"
    ranked = " over targets only" if protocol.precision_on_targets_only else ""
    vanished = ", but not a mask that vanishes on the grid" if protocol.empty_answer_needed else ""
    marked = "adds its area to cIoU" if protocol.count_false_positive_area else "costs nothing in cIoU"
    divisor = f"union + {protocol.epsilon:g}" if protocol.epsilon else "union"
    return {
        "grid": place_of(protocol.grid),
        "questions": QUESTIONS[protocol.questions],
        "truth": "truth stretched bilinearly" if protocol.stretch_truth else "truth resized as the prediction",
        "unit": "each target scored on its own" if protocol.unit == "mask" else "targets of a question scored as one",
        "empty": f"empty answer to an empty target scores {protocol.both_empty_iou:g}{vanished}",
        "false positives": f"a mask on an empty target {marked}",
        "precision": f"Pr@X counts IoU {hit} X{ranked}" if protocol.thresholds else "no Pr@X",
        "ignored pixels": "ignored pixels count nowhere" if protocol.ignore else "ignored pixels are background",
        "division": f"IoU divides by {divisor} in {protocol.float_type}",
    }


def describe_rules(protocol: Protocol, base: Protocol | None = None, without: Collection[str] = ()) -> str:
    """Describe the rules of a protocol in a line.

    Args:
        protocol: protocol to describe.
        base: another protocol, so that only the rules that differ from its rules are described; None describes all.
        without: names of rules to leave out.
    """
    rules = {name: rule for name, rule in rules_of(protocol).items() if name not in without}
    if base is None or base == protocol:
        return "; ".join(rules.values())
    other = rules_of(base)
    differing = "; ".join(rule for name, rule in rules.items() if rule != other[name])
    return f"as {base.name}, but {differing}" if differing else f"as {base.name}"
