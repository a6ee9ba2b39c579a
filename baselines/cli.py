"""`earthreason-baselines`: run the reference models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, guard, make_app, stdout
from earthreason.cli.completions import complete_config, complete_split
from earthreason.cli.merge import merge_command
from earthreason.cli.options import CONFIG_HELP, DataDirOption, ShardOption
from earthreason.plurals import count_of

from .checkpoints import shipped_checkpoints
from .cli_completions import complete_model, complete_settings, complete_trainable
from .cli_options import (
    CHECKPOINT_HELP,
    SHIPPED,
    DeviceOption,
    DtypeOption,
    TaskOption,
    ThresholdOption,
    complete_checkpoint,
)
from .cli_weights import assemble, convert
from .compare.commands import compare, tune
from .exporting.command import export, pull, push
from .registry import (
    MODELS,
    PredictorOptions,
    check_learner,
    models_with_option,
    trainable_models,
)
from .segment_cli import segment
from .serve.command import serve

app = make_app("earthreason-baselines", "Reference models for geospatial pixel reasoning.")

_TRAINABLE = ", ".join(trainable_models())


def _for(option: str) -> str:
    """Return the beginning of an option's help text, which names the models that use the option."""
    return f"For {' and '.join(models_with_option(option))}: "


class ReplyMode(StrEnum):
    """Who writes the mask tokens of a reply."""

    forced = "forced"
    generated = "generated"


class WeightType(StrEnum):
    """Data types of the weights of a small checkpoint."""

    bfloat16 = "bfloat16"
    int8 = "int8"


class Questions(StrEnum):
    """Questions to ask about each sample."""

    first = "first"
    all = "all"


@app.command()
def predict(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help=f"Model to run: {', '.join(MODELS)}, or your own as MODULE:CLASS.",
            autocompletion=complete_model,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Predictions file to write: .json or .jsonl.")],
    config: Annotated[str, typer.Option("--config", help=CONFIG_HELP, autocompletion=complete_config)] = "default",
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="Split to predict: train, validation (or val) or test; slices allowed.",
            autocompletion=complete_split,
        ),
    ] = "test",
    data_dir: DataDirOption = None,
    questions: Annotated[
        Questions, typer.Option("--questions", help="Ask each sample's first question, or all of them.")
    ] = Questions.first,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", help=CHECKPOINT_HELP, autocompletion=complete_checkpoint)
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Predict only the first samples of the split, at most so many.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "float32",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Questions per batch.")] = 8,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the model first: a minute or more, after which batches are faster."),
    ] = False,
    no_target_threshold: ThresholdOption = None,
    task: TaskOption = None,
    on_canvas: Annotated[
        bool,
        typer.Option("--on-canvas", help="Leave masks on the model's canvas, where the reference scores them."),
    ] = False,
    reply: Annotated[
        ReplyMode,
        typer.Option(
            "--reply",
            help=f"{_for('reply')}put the mask tokens into the prompt, as the papers do, or let the model write them.",
        ),
    ] = ReplyMode.forced,
    vlm: Annotated[str | None, typer.Option("--vlm", help=f"{_for('vlm')}vision-language model on the server.")] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help=f"{_for('base_url')}OpenAI-compatible server. Default: OpenAI.")
    ] = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            "--coordinates", help=f"{_for('coordinates')}pixels, thousand, thousand-yx, fraction or internvl."
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help=f"{_for('temperature')}sampling temperature.")
    ] = 0.0,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", min=1, show_default="the server's", help=f"{_for('max_tokens')}largest length of an answer."
        ),
    ] = None,
    shard: ShardOption = None,
) -> None:
    """Predict a split with a model and write a predictions file.

    Example: earthreason-baselines predict --model saliency --config sample --split test --out preds.json
    """
    from earthreason.shards import Shard

    from .common.run import predict_split

    part = Shard.of_option(shard)
    options = PredictorOptions(
        checkpoint,
        device,
        dtype,
        batch_size,
        vlm,
        base_url,
        compiled,
        no_target_threshold,
        None if task is None else task.value,
        on_canvas,
        reply.value,
        coordinates=coordinates,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    written = predict_split(model, options, config, split, data_dir, questions.value, out, limit, part)
    if written is None:
        return
    made = f"{count_of(written, 'prediction')} in {out}"
    if part is None:
        then = f"{made}\nscore them: {command_line('earthreason-eval', out)}"
    else:
        then = f"{made}, part {part}\nmerge all: {merge_command(out, part)}"
    stdout().print(then, soft_wrap=True, markup=False)


app.command()(segment)


@app.command()
def train(
    model: Annotated[str, typer.Argument(help=f"Model to train: {_TRAINABLE}.", autocompletion=complete_trainable)],
    config: Annotated[
        Path,
        typer.Option(
            "--config", help="YAML file, or a shipped one such as segearth_r1/tiny.", autocompletion=complete_settings
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; an unfinished run is resumed.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Settings to override, such as optim.steps=10.")
    ] = None,
) -> None:
    """Train a model on one process or several (torchrun, `accelerate launch`). A stopped run can be resumed exactly.

    Example: earthreason-baselines train segearth_r1 --config segearth_r1/tiny --out runs/a optim.minutes=9
    """
    from .training.config import load_config

    check_learner(model)
    settings = load_config(config, [*(overrides or []), f"model.name={model}"])
    stdout().print(f"settings: {out / 'config.json'}", soft_wrap=True, markup=False)
    from .training.loop import train as run_training

    final = run_training(settings, out)
    folder = settings.data.data_dir
    data = ("--config", settings.data.config, *(() if folder is None else ("--data-dir", folder)))
    words = ("predict", "--model", model, "--checkpoint", final, *data, "--out", "preds.json")
    command = command_line("earthreason-baselines", *words)
    stdout().print(f"model: {final}\npredict: {command}", soft_wrap=True, markup=False)


app.command()(compare)
app.command()(tune)


app.command()(serve)
app.command()(convert)
app.command()(assemble)


app.command()(export)
app.command()(push)
app.command()(pull)


@app.command()
def ship(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, its final/, or a folder that `ship` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", help="JSON of `earthreason-eval --json` for the card; repeat it for more splits."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="Folder of the training data, for their licence and ground resolution. Default: the run's.",
        ),
    ] = None,
    data_command: Annotated[
        str | None, typer.Option("--data-command", help="Command that made the training data, for the card.")
    ] = None,
    dtype: Annotated[
        WeightType, typer.Option("--dtype", help="Data type of the weights; int8 has half the size.")
    ] = WeightType.bfloat16,
    register: Annotated[
        bool, typer.Option("--register", help="Also enter the folder into the index.json beside it, under its name.")
    ] = False,
) -> None:
    """Write a small checkpoint to publish: reduced weights, every setting, and a model card. At most 15 MB.

    Example: earthreason-baselines ship runs/tiny --scores sample.json --out tiny

    Example: earthreason-baselines ship runs/tiny --scores sample.json --out baselines/checkpoints/tiny --register
    """
    from .shipping.checkpoint import ship_checkpoint

    size = ship_checkpoint(
        run, out, scores or [], data_dir=data_dir, data_command=data_command, dtype=dtype.value, register=register
    )
    stdout().print(f"{out}: {size / 1e6:.1f} MB\ncard: {out / 'README.md'}", soft_wrap=True)


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help=f"Checkpoint of this package: {SHIPPED}.", autocompletion=complete_checkpoint)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
) -> None:
    """Copy a checkpoint of this package to a folder, after comparing its files with their SHA-256.

    Example: earthreason-baselines fetch tiny --out tiny
    """
    from .checkpoints import fetch_checkpoint

    fetched = fetch_checkpoint(name, out)
    words = ("--model", fetched.model, "--checkpoint", out, "--config", "sample", "--out", "preds.json")
    command = command_line("earthreason-baselines", "predict", *words)
    stdout().print(f"{name}: {fetched.summary}\nfolder: {out}\npredict: {command}", soft_wrap=True, markup=False)


@app.command()
def models() -> None:
    """List the models and the trained checkpoints of this package.

    Example: earthreason-baselines models
    """
    from earthreason.reports.tables import new_table, print_table

    table = new_table("model", "summary")
    for model in MODELS.values():
        table.add_row(model.name, model.summary)
    print_table(table, stdout())
    for shipped in shipped_checkpoints().values():
        stdout().print(f"--checkpoint {shipped.name}: {shipped.summary}", soft_wrap=True, markup=False)


def run() -> None:
    """Run the command line."""
    guard(app)
