"""Write the smallest golden pairs of `../shared/goldens/metrics` to `pairs.json` beside this script.

Run from the root of a checkout: `python -m tests.data.golden_metrics.select_pairs ../shared/goldens/metrics`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

STORED = Path(__file__).parent / "pairs.json"
KEPT = 60
TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)


def read_shared(folder: Path) -> dict:
    """All pairs with their counts on every grid, and the scores that the reference evaluator printed."""
    content = json.loads((folder / "pairs.json").read_text())
    stretched = {entry["id"]: entry for entry in json.loads((folder / "stretch.json").read_text())["pairs"]}
    for pair in content["pairs"]:
        del pair["upstream_iou"]  # 0 for every pair but the first, whatever the counts
        for grid in ("stretch_480", "stretch_840"):
            pair[grid] = stretched[pair["id"]][grid]
    return content


def summarise(pairs: list[dict]) -> dict[str, dict[str, float]]:
    """Turn the counts of the reference evaluator into its scores, in its arithmetic (eval_and_test/eval.py).

    On a GPU it divides in float64. The printed scores are of a run on a CPU, in float32, and differ by less than 1e-6.
    """
    canvas, native = (
        np.array([[pair[grid]["intersection"], pair[grid]["union"]] for pair in pairs]) for grid in ("canvas", "native")
    )
    shared, union = canvas.T.astype(np.float64)
    ious = np.where(union == 0, 1, shared / (union + 1e-5))
    native_ious = np.where(native[:, 1] == 0, 1, native[:, 0] / np.maximum(native[:, 1], 1))
    return {
        "canvas_1024": {
            "gIoU": float(ious.mean()),
            "cIoU": float(canvas[:, 0].sum() / (canvas[:, 1].sum() + 1e-10)),
            **{f"Pr@{threshold:g}": float((ious > threshold).mean()) for threshold in TENTHS},
        },
        "native": {
            "gIoU": float(native_ious.mean()),
            "cIoU": float(native[:, 0].sum() / native[:, 1].sum()),
        },
    }


def main(folder: Path) -> None:
    """Check `summarise` against the printed scores of all pairs, then write the smallest ones."""
    content = read_shared(folder)
    for grid, scores in summarise(content["pairs"]).items():
        for name, value in scores.items():
            if abs(value - content[grid][name]) > 1e-6:
                raise SystemExit(f"{grid} {name}: {value}, but the evaluator printed {content[grid][name]}")
    smallest = sorted(content["pairs"], key=lambda pair: (len(json.dumps(pair)), pair["id"]))[:KEPT]
    smallest.sort(key=lambda pair: pair["id"])
    scores = json.dumps(summarise(smallest), indent=1)[1:-2]
    rows = ",\n".join(json.dumps(pair, separators=(",", ":")) for pair in smallest)
    STORED.write_text(f'{{{scores},\n "pairs": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
