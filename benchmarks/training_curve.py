"""Draw the learning curve of a training run from its metrics.csv.

python benchmarks/training_curve.py runs/tiny docs/images/training_curve.svg
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from earthreason.reports.svg import save_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    a = parser.parse_args()
    table = pd.read_csv(a.run / "metrics.csv").pivot_table(index="step", columns="name", values="value")
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
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, a.out)


if __name__ == "__main__":
    main()
