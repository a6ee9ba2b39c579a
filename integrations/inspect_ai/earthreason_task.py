"""EarthReason as a task of inspect-ai; docs/howto/harnesses.md shows the commands."""

from __future__ import annotations

import base64
import io
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState, generate
from PIL import Image

from earthreason import load_dataset
from earthreason.grounding.drawers import load_drawer
from earthreason.grounding.profiles import Profile, get_profile
from earthreason.grounding.prompt import write_prompt
from earthreason.grounding.scoring import AskedQuestion, score_answer, summarize
from earthreason.metrics.evaluate import choose_questions
from earthreason.metrics.protocols import get_protocol, protocol_of


@task
def earthreason(
    config: str = "sample",
    split: str = "test",
    data_dir: str | None = None,
    coordinates: str = "thousand",
    protocol: str | None = None,
    sam: str | None = None,
    device: str = "cpu",
) -> Task:
    """Ask for the boxes and points that answer each question.

    Args:
        config: configuration of `load_dataset("earthreason", CONFIG)`.
        split: split, or a part such as test[:10], which alone is read.
        data_dir: folder of the release or of a related dataset, as an absolute path, because inspect-ai runs a task in
            the folder of its file.
        coordinates: how the model gives them: thousand, thousand-yx, fraction, pixels or internvl.
        protocol: scoring rules; those of the configuration's authors by default. They also say which questions are
            asked.
        sam: folder or Hub id of a SAM or SAM 2 that makes masks of the boxes and points.
        device: where that SAM runs.
    """
    profile, rules = get_profile(coordinates), get_protocol(protocol or protocol_of(config))
    rows = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    counts = [len(questions) for questions in rows.select_columns("questions")[:]["questions"]]
    samples = [_sample_of(rows[row], row, index, profile) for row, index in choose_questions(counts, rules)]
    return Task(
        dataset=MemoryDataset(samples, name=f"earthreason-{config}"),
        solver=generate(),
        scorer=regions(config, split, data_dir, coordinates, rules.name, sam, device),
        config=GenerateConfig(temperature=0.0, max_tokens=1024),
    )


def _sample_of(row: dict[str, Any], number: int, index: int, profile: Profile) -> Sample:
    asked, image = AskedQuestion.of_row(row, index), row["image"].convert("RGB")
    size = profile.sent_size(*image.size)
    picture = ContentImage(image=_data_uri(image if size == image.size else image.resize(size)))
    return Sample(
        input=[ChatMessageUser(content=[picture, ContentText(text=write_prompt(asked.question, profile, *size))])],
        target=str(next(iter(row["answers"] or ()), "none")),
        id=f"{asked.sample_id}:{index}",
        metadata={"row": number, "asked": asked.to_dict()},
    )


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


@metric
def figures() -> Metric:
    """Return all scores of the answers, without those that are undefined."""

    def compute(scores: list[SampleScore]) -> Value:
        states = [score.score.metadata["state"] for score in scores if score.score.metadata]
        return {name: value for name, value in summarize(states).items() if value is not None} if states else {}

    return compute


@scorer(metrics=[figures()])
def regions(
    config: str, split: str, data_dir: str | None, coordinates: str, protocol: str, sam: str | None, device: str
) -> Scorer:
    """Score the boxes and points of an answer; the value of a sample is the IoU of its mask.

    That mask is SAM's if there is one, else the filled boxes. The arguments are those of the task.
    """
    profile, drawer = get_profile(coordinates), None if sam is None else load_drawer(sam, device)
    rows = None if sam is None else load_dataset("earthreason", config, split=split, data_dir=data_dir)

    async def score(state: TaskState, target: Target) -> Score:
        asked = AskedQuestion(**state.metadata["asked"])
        image = None if rows is None else rows[state.metadata["row"]]["image"].convert("RGB")
        text = state.output.completion
        found = score_answer(text, asked, profile, protocol, drawer, image)
        single = summarize([found])
        value = single["box_giou"] if drawer is None else single["mask_giou"]
        return Score(value=value or 0.0, answer=text, explanation=found["failure"], metadata={"state": found})

    return score
