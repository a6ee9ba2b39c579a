"""Functions that the lmms-eval tasks of EarthReason name. Give this folder as `--include_path`, or a copy of it.

Settings are environment variables, because lmms-eval passes none to `process_results`:

    EARTHREASON_COORDINATES  how the model gives coordinates: thousand (default), thousand-yx, fraction, pixels or
                             internvl
    EARTHREASON_PROTOCOL     scoring rules, segearth-r1 by default; they also say which questions are asked
    EARTHREASON_SAM          folder or Hub id of a SAM or SAM 2 that makes masks of the boxes and points
    EARTHREASON_DEVICE       where that SAM runs: cpu (default), cuda, ...
    EARTHREASON_DATA         folder of the release or of a related dataset, for earthreason_default
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import earthreason  # noqa: F401  # gives load_dataset the name "earthreason"
from earthreason.grounding.drawers import load_drawer
from earthreason.grounding.profiles import Profile, get_profile
from earthreason.grounding.prompt import write_prompt
from earthreason.grounding.scoring import SCORES, AskedQuestion, Drawer, score_answer, summarize
from earthreason.metrics.evaluate import choose_questions
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, Protocol, get_protocol

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

INDEX = "question_index"
_LOADING = threading.Lock()
_load_once = cache(load_drawer)


def chosen_profile() -> Profile:
    """Return how the model gives coordinates."""
    return get_profile(os.environ.get("EARTHREASON_COORDINATES") or "thousand")


def chosen_protocol() -> Protocol:
    """Return the scoring rules."""
    return get_protocol(os.environ.get("EARTHREASON_PROTOCOL") or DEFAULT_PROTOCOL)


def chosen_drawer() -> Drawer | None:
    """Return the SAM that EARTHREASON_SAM names, loaded once; None if it names none."""
    checkpoint = os.environ.get("EARTHREASON_SAM")
    if not checkpoint:
        return None
    with _LOADING:  # lmms-eval processes results in several threads
        return _load_once(checkpoint, os.environ.get("EARTHREASON_DEVICE") or "cpu")


def ask_questions(dataset: Dataset) -> Dataset:
    """Repeat each row for every question that the protocol scores, and add the index of the question."""
    from datasets import concatenate_datasets

    counts = [len(questions) for questions in dataset.select_columns("questions")[:]["questions"]]
    chosen = choose_questions(counts, chosen_protocol())
    indices = sorted({index for _, index in chosen})
    # No picture is copied: the parts share one table, each has another column beside it, and rows are selected.
    parts = [dataset.add_column(INDEX, [index] * len(dataset)) for index in indices]
    start = {index: number * len(dataset) for number, index in enumerate(indices)}
    return concatenate_datasets(parts).select([start[index] + row for row, index in chosen])


def doc_to_visual(doc: dict[str, Any]) -> list[Image.Image]:
    """Return the image, in the size to which the coordinates of the answer belong."""
    image = doc["image"].convert("RGB")
    size = chosen_profile().sent_size(*image.size)
    return [image if size == image.size else image.resize(size)]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: dict[str, str] | None = None) -> str:
    """Return the prompt; `pre_prompt` and `post_prompt` of the model stand around it."""
    extra = lmms_eval_specific_kwargs or {}
    profile = chosen_profile()
    prompt = write_prompt(doc["questions"][doc[INDEX]], profile, *profile.sent_size(doc["width"], doc["height"]))
    return f"{extra.get('pre_prompt', '')}{prompt}{extra.get('post_prompt', '')}"


def doc_to_target(doc: dict[str, Any]) -> str:
    """Return the answer in words, which only logs show."""
    return str(next(iter(doc["answers"] or ()), "none"))


def process_results(doc: dict[str, Any], results: Sequence[str | None]) -> dict[str, dict[str, Any]]:
    """Return the state of the answer, once for every score; the scores of masks need a SAM."""
    drawer = chosen_drawer()
    image = None if drawer is None else doc["image"].convert("RGB")
    asked = AskedQuestion.of_row(doc, doc[INDEX])
    state = score_answer(results[0] or "", asked, chosen_profile(), chosen_protocol().name, drawer, image)
    return dict.fromkeys((score for score in SCORES if drawer or not score.startswith("mask_")), state)


def _aggregate(score: str, states: Sequence[dict[str, Any]]) -> float:
    value = summarize(states)[score]
    return float("nan") if value is None else value


box_acc, box_giou, box_ciou, n_acc, t_acc, point_hit, unreadable, mask_giou, mask_ciou = (
    partial(_aggregate, score) for score in SCORES
)
