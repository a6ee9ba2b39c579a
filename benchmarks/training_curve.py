"""Draw the learning curve of a training run, or of several that continue each other, from their metrics.csv.

python benchmarks/training_curve.py runs/small runs/tiny docs/images/training_curve.svg
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from earthreason.reports.svg import save_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    a = parser.parse_args()
    parts: list[pd.DataFrame] = []
    ends: list[int] = []
    for run in a.runs:
        part = pd.read_csv(run / "metrics.csv").pivot_table(index="step", columns="name", values="value")
        part.index += ends[-1] if ends else 0
        parts.append(part)
        ends.append(int(part.index[-1]))
    table = pd.concat(parts)
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    loss = table["loss"].dropna()
    left.plot(loss.index, loss, color="#bbbbbb", linewidth=0.8)
    left.plot(loss.index, loss.rolling(10, min_periods=1).mean(), color="#0072b2")
    left.set_ylabel("training loss")
    for colour, name in (("#0072b2", "gIoU"), ("#d55e00", "cIoU"), ("#009e73", "N-acc")):
        scores = table[f"validation_{name}"].dropna()
        right.plot(scores.index, 100 * scores, color=colour, marker="o", markersize=3, label=name)
    right.set_ylabel("validation scenes, %")
    right.legend(frameon=False)
    for axis in (left, right):
        for end in ends[:-1]:
            axis.axvline(end, color="#888888", linewidth=0.8, linestyle="--")
        axis.set_xlabel("step")
        axis.locator_params(axis="x", nbins=5)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, a.out)


if __name__ == "__main__":
    main()
