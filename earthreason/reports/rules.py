"""Rules of protocols in words."""

from __future__ import annotations

from earthreason.metrics.protocols import Protocol

QUESTIONS = {"first": "first question", "random": "a random question", "all": "every question"}


def differences(rules: Protocol) -> list[str]:
    """List the rules in which protocols differ, for one protocol."""
    return [f"compared on {rules.grid.name}", QUESTIONS[rules.questions], *scoring_rules(rules)]


def scoring_rules(rules: Protocol) -> list[str]:
    """List the rules other than the grid and the choice of questions."""
    hit = "≥" if rules.threshold_inclusive else ">"
    ranked = " over targets only" if rules.precision_on_targets_only else ""
    parts = [
        "each target scored on its own, in order" if rules.unit == "mask" else "targets of a question scored as one",
        f"empty answer to an empty target scores {rules.both_empty_iou:g}"
        + (", but not a mask that vanishes on the grid" if rules.empty_answer_needed else ""),
        "a mask on an empty target "
        + ("adds its area to cIoU" if rules.count_false_positive_area else "costs nothing in cIoU"),
        f"Pr@X counts IoU {hit} X{ranked}" if rules.thresholds else "no Pr@X",
    ]
    if rules.stretch_truth:
        parts.insert(0, "truth stretched bilinearly")
    if rules.ignore:
        parts.append("ignored pixels count nowhere")
    divisor = f"union + {rules.epsilon:g}" if rules.epsilon else "union"
    return [*parts, f"IoU divides by {divisor} in {rules.float_type}"]
