"""Results in the Hub's format: `.eval_results/*.yaml` in a model's repository."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from earthreason.metrics.scores import CIOU, GIOU

from .records import ALL, ResultRecord

METRICS = (GIOU.name, CIOU.name)


def eval_results_yaml(records: Sequence[tuple[ResultRecord, str | None]], source: str | None, dataset: str) -> str:
    """Write results as the Hub's YAML, in per cent, with one task per split and score (`test_giou`).

    Args:
        records: results with their dates, YYYY-MM-DD.
        source: URL of the row on a board.
        dataset: the benchmark's dataset repository on the Hub.
    """
    entries = []
    for record, day in records:
        for metric in METRICS:
            estimate = record.estimate(record.main_protocol, ALL, metric)
            if estimate is None:
                continue
            notes = f"protocol {record.main_protocol}, earthreason {record.earthreason}"
            if estimate.interval is not None:
                low, high = estimate.interval.low, estimate.interval.high
                notes += f", 95 % interval {100 * low:.2f} to {100 * high:.2f}"
            entries.append(
                EvalResultEntry(
                    dataset_id=dataset,
                    task_id=f"{record.split}_{metric.lower()}",
                    value=round(100 * estimate.value, 2),
                    date=day,
                    source_url=source,
                    source_name="EarthReason leaderboard" if source else None,
                    notes=notes,
                )
            )
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
