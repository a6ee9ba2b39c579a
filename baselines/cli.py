"""`python -m baselines`: run the reference models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from baselines.common.registry import MODELS
from earthreason.cli.app import guard, set_verbosity, stdout
from earthreason.cli.options import DataDirOption

app = typer.Typer(
    name="python -m baselines",
    help="Reference models for geospatial pixel reasoning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Questions(StrEnum):
    """Which questions of a sample are asked."""

    first = "first"
    all = "all"


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only errors.")] = False,
) -> None:
    set_verbosity(verbose, quiet)


@app.command()
def predict(
    model: Annotated[str, typer.Option("--model", help=f"{', '.join(MODELS)}, or your own as MODULE:CLASS.")],
    out: Annotated[Path, typer.Option("--out", help="Predictions file to write: .json or .jsonl.")],
    config: Annotated[str, typer.Option("--config", help="'default' (the release) or 'sample'.")] = "default",
    split: Annotated[str, typer.Option("--split", help="train, validation (or val) or test; slices allowed.")] = "test",
    data_dir: DataDirOption = None,
    questions: Annotated[
        Questions, typer.Option("--questions", help="Ask each sample's first question, or all of them.")
    ] = Questions.first,
    checkpoint: Annotated[str | None, typer.Option("--checkpoint", help="Folder or Hub id of weights.")] = None,
    device: Annotated[str, typer.Option("--device", help="torch device.")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = "float32",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Questions a batch.")] = 8,
) -> None:
    """Predict a split with a model and write a predictions file.

    Example: python -m baselines predict --model saliency --config sample --split test --out preds.json
    """
    from collections.abc import Iterator

    from tqdm import tqdm

    from baselines.common.registry import PredictorOptions, build_predictor
    from earthreason.data.load import load_dataset
    from earthreason.data.schema import sample_of_row
    from earthreason.predictions import write_predictions
    from earthreason.predictions.predict import predict_samples
    from earthreason.types import Sample

    def train_samples() -> Iterator[Sample]:
        return map(sample_of_row, load_dataset("earthreason", config, split="train", data_dir=data_dir))

    options = PredictorOptions(
        checkpoint=checkpoint, device=device, dtype=dtype, batch_size=batch_size, train_samples=train_samples
    )
    predictor = build_predictor(model, options)
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    progress = tqdm(dataset, desc=model, unit="image", total=len(dataset))
    predictions = predict_samples(predictor, map(sample_of_row, progress), questions.value, batch_size)
    info = {"model": model, "config": config, "split": split}
    written = write_predictions(out, predictions, info)
    stdout().print(f"{written} predictions in {out}\nscore them: earthreason-eval {out}", soft_wrap=True)


@app.command()
def models() -> None:
    """List the models.

    Example: python -m baselines models
    """
    from rich.table import Table

    table = Table("model", "what it does")
    for model in MODELS.values():
        table.add_row(model.name, model.summary)
    stdout().print(table)


def run() -> None:
    """Entry point of `python -m baselines`."""
    guard(app)
