"""Model card of a checkpoint, written from the records of its training and its scores."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ValidationError

from earthreason.data.sources.release import HUB_ID
from earthreason.errors import DataFormatError, DataNotFoundError, describe_validation_error
from earthreason.metrics.formats import format_interval, format_score
from earthreason.metrics.scores import HEADLINE
from earthreason.metrics.statistics import Interval

from ..common.resolution import describe_range, known_range

LICENCE = "Apache-2.0"
TRAINING = "training.yaml"
R = TypeVar("R", bound=BaseModel)
_TEMPLATE, _PLAIN = Path(__file__).with_name("card.md"), Path(__file__).with_name("plain_card.md")


class Calibration(BaseModel):
    """Choice of the no-target threshold."""

    no_target_threshold: float
    samples: int
    empties: int


class _Model(BaseModel, extra="allow"):
    name: str
    checkpoint: str | None = None
    language_model: str | None = None
    vision: str | None = None
    tokenizer: str = "bytes"

    @property
    def words(self) -> str | None:
        """Sentence encoder whose words a new language model started with."""
        from ..common.words import encoder_of  # imports torch

        return None if self.checkpoint or self.language_model else encoder_of(self.tokenizer)


class _Data(BaseModel, extra="allow"):
    config: str
    data_dir: str | None
    train: str


class _Optim(BaseModel, extra="allow"):
    global_batch: int


class Settings(BaseModel, extra="allow"):
    """Configuration of a run, of any version of the package."""

    model: _Model
    data: _Data
    optim: _Optim


class RunRecord(BaseModel):
    """What a card needs from `run.json`; see `baselines.training.records.write_card`."""

    name: str
    steps: int
    seconds: float
    device: str
    cpus: int | None = None
    gpu_hours: float = 0.0
    processes: int = 1
    parameters: int
    commit: str | None = None
    earthreason: str
    torch: str
    transformers: str
    calibration: Calibration | None = None
    config: Settings
    started_from: RunRecord | None = None

    @property
    def model(self) -> str:
        """Name of the model in `baselines.registry`."""
        return self.config.model.name

    @property
    def machine(self) -> str:
        """Name of the device, or the number of CPU cores where no GPU took part."""
        return self.device if self.gpu_hours or not self.cpus else f"{self.cpus} CPU cores"

    @property
    def pretrained(self) -> list[str]:
        """Weights that the training started from."""
        model = self.config.model
        first = [model.checkpoint] if self.started_from is None else self.started_from.pretrained
        return [name for name in (*first, model.vision, model.language_model, model.words) if name is not None]

    @property
    def samples(self) -> int:
        """Number of samples drawn, repetitions included."""
        return self.steps * self.config.optim.global_batch


@dataclass(frozen=True)
class Stage:
    """One of the runs that made a checkpoint, each of which started from the one before.

    Attributes:
        run: its record.
        settings: name of the file with its settings.
        out: folder that its command writes.
    """

    run: RunRecord
    settings: str
    out: str

    @property
    def command(self) -> str:
        command = ["earthreason-baselines", "train", self.run.model, "--config", self.settings, "--out", self.out]
        return shlex.join(command)


def stages_of(run: RunRecord) -> list[Stage]:
    """List the runs that made a checkpoint, from the first to `run`."""
    before = [] if run.started_from is None else stages_of(run.started_from)
    numbered = [
        replace(stage, settings=f"training-{number}.yaml", out=f"runs/{stage.run.name}-{number}")
        for number, stage in enumerate(before, 1)
    ]
    return [*numbered, Stage(run, TRAINING, f"runs/{run.name}")]


class Score(BaseModel):
    """What a card needs from one of the results in the JSON of `earthreason-eval`."""

    protocol: str
    ground_truth: str
    questions: int
    images: int
    empty_targets: int
    scores: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]
    provenance: dict[str, Any]

    def cell(self, name: str) -> str:
        """Return a score and its 95 % interval in per cent."""
        ends = self.intervals.get(name)
        interval = f" ({format_interval(Interval(*ends))})" if ends else ""
        return format_score(self.scores.get(name)) + interval


class Scores(BaseModel):
    """JSON that `earthreason-eval --json` writes; the first result has the protocol that was asked for."""

    results: list[Score]
    no_target_threshold: float | None = None


class Data(BaseModel):
    """Training data: title, licence and origin, and the command that made it, if known."""

    title: str
    licence: str
    origin: str
    command: str | None = None


def read_run(path: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: it is not the record of a run.
    """
    return _read(RunRecord, path, "the record of a training run")


def read_scores(path: Path, run: RunRecord, threshold: float | None) -> Score:
    """Read the scores of a checkpoint.

    Args:
        path: JSON of `earthreason-eval --json`.
        run: record of the checkpoint's training.
        threshold: no-target threshold of the checkpoint.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: it holds no scores, no intervals, or those of another model or threshold.
    """
    read = _read(Scores, path, "what `earthreason-eval --json` writes")
    if not read.results or not read.results[0].intervals:
        raise DataFormatError(f"{path}: has no scores with intervals; run earthreason-eval without --resamples 0")
    score = read.results[0]
    if (model := score.provenance.get("model")) != run.model:
        raise DataFormatError(f"{path}: scores of the model {model}, but the checkpoint is {run.model}")
    if threshold is not None and read.no_target_threshold != threshold:
        raise DataFormatError(
            f"{path}: scores with the no-target threshold {read.no_target_threshold}, but the checkpoint has "
            f"{threshold}; predict and score with this checkpoint"
        )
    return score


def _read(kind: type[R], path: Path, what: str) -> R:
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {path}")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = describe_validation_error(error, limit=1)
        raise DataFormatError(f"{path}: not {what}: {fault}") from None


def write_model_card(
    run: RunRecord,
    data: Data,
    scores: Sequence[Score],
    settings: Mapping[str, Any],
    dtype: str,
    sha256: Mapping[str, str],
) -> str:
    """Write a card in Markdown, with front matter for the Hub.

    Args:
        run: record of the training.
        data: training data.
        scores: scores of the checkpoint, one per split.
        settings: `config.json` of the checkpoint.
        dtype: data type of the weights.
        sha256: SHA-256 of the files, by name.
    """
    seen = known_range(settings.get("ground_resolution"))
    trained = run.config.data
    public = trained.config == "default" and trained.data_dir is None
    front = front_matter(
        run.model,
        LICENCE.lower(),
        model_name=run.name,
        datasets=[HUB_ID] if public else None,
        eval_results=_results(scores),
    )
    return _render(
        _TEMPLATE,
        front=front,
        run=run,
        data=data,
        scores=scores,
        names=HEADLINE,
        stages=stages_of(run),
        image_size=settings["image_size"],
        resolution=None if seen is None else describe_range(seen),
        dtype=dtype,
        licence=LICENCE,
        sha256=sha256,
    )


def write_plain_card(model: str, name: str, exported: bool = False) -> str:
    """Write the card of a checkpoint without records: what it is and how to ask it, without scores and licence.

    Args:
        model: name of the model.
        name: name of the checkpoint, for its commands.
        exported: whether it is a folder of `export`.
    """
    front = front_matter(model, "unknown")
    return _render(_PLAIN, front=front, model=model, name=name, exported=exported)


def front_matter(model: str, licence: str, **facts: Any) -> str:
    """Write the front matter of a card for the Hub; `facts` are further arguments of `ModelCardData`."""
    from huggingface_hub import ModelCardData

    front = ModelCardData(
        license=licence,
        language="en",
        library_name="earthreason",
        pipeline_tag="image-segmentation",
        tags=["remote-sensing", "reasoning-segmentation", model],
        **{name: value for name, value in facts.items() if value},
    )
    return front.to_yaml()


def _results(scores: Sequence[Score]) -> list[Any]:
    """Return the headline scores as the Hub's evaluation results, in per cent."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="image-segmentation",
            task_name="reasoning segmentation",
            dataset_type="earthreason",
            dataset_name=f"EarthReason, {score.ground_truth}, protocol {score.protocol}",
            dataset_config=score.ground_truth,  # results of one type and configuration are merged into one entry
            metric_type=name.lower(),
            metric_name=name,
            metric_value=round(100 * value, 2),
        )
        for score in scores
        for name in HEADLINE
        if (value := score.scores.get(name)) is not None
    ]


def _render(template: Path, **values: Any) -> str:
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)
