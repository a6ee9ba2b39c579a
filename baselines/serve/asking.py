"""`POST /segment`: check a request, wait for the model, and describe the answers."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool

from earthreason.geo.answers import SceneAnswers
from earthreason.geo.resolution import ground_resolution
from earthreason.geo.scene import Scene

from .browsing import THRESHOLD
from .jobs import Job, Outcome
from .pictures import Picture, check_picture, check_pixels
from .results import Result
from .schemas import AnswerInfo, Links, Segmented, errors
from .segmenting import area_window, can_write, magnification, measure_answer, tasks_of
from .settings import LONGEST_QUESTION, MOST_QUESTIONS, RefusedError
from .state import Shared, State
from .warping import degrees, mercator_bounds

router = APIRouter()
_LOOK_SECONDS = 0.25
"""How often it is looked whether the client is still there."""
_CLOSED_STATUS = 499
"""Status in the metrics of requests whose clients went away; nobody receives it."""
_LONGEST_NAME = 100
_ERRORS = errors(404, 408, 413, 415, 422, 429, 500, 503)


@router.post("/segment", summary="Answer questions about a picture", responses=_ERRORS)
async def segment(
    request: Request,
    state: Shared,
    questions: Annotated[
        list[str],
        Form(
            min_length=1,
            max_length=MOST_QUESTIONS,
            description=f"Questions, each of 1 to {LONGEST_QUESTION} characters; repeat the field for more.",
        ),
    ],
    image: Annotated[UploadFile | None, File(description="JPEG, PNG, WebP or TIFF; or give sample or scene.")] = None,
    sample: Annotated[str | None, Form(max_length=64, description="Name of a sample.")] = None,
    scene: Annotated[str | None, Form(max_length=255, description="File name of a scene.")] = None,
    threshold: Annotated[
        float, Form(ge=0, le=1, allow_inf_nan=False, description="Probability above which pixels are marked.")
    ] = THRESHOLD,
    area: Annotated[
        str | None, Form(max_length=200, description='"west,south,east,north" in degrees, for pictures with a CRS.')
    ] = None,
    task: Annotated[str | None, Form(max_length=64, description="Kind of question, one of the model's tasks.")] = None,
    words: Annotated[bool, Form(description="Also answer in words, if the model can.")] = False,
) -> Segmented:
    """Give exactly one of image, sample and scene. All questions are answered together."""
    asked = tuple(map(_check_question, questions))
    if task is not None and task not in tasks_of(state.model):
        known = ", ".join(tasks_of(state.model)) or "none; leave it out"
        raise RefusedError(422, f"task: the model does not have this one (it has: {known})")
    if words and not can_write(state.model):
        raise RefusedError(422, "words: the model does not answer in words; leave it out")
    given = [name for name, value in (("image", image), ("sample", sample), ("scene", scene)) if value is not None]
    if len(given) != 1:
        raise RefusedError(422, f"give exactly one of image, sample and scene, not {' and '.join(given) or 'none'}")
    with _upload_folder(state) as folder:
        picture = await run_in_threadpool(_find_picture, state, folder, image, sample, scene)
        job = await run_in_threadpool(_make_job, state, picture, asked, area or None, task, words)
        state.jobs.put(job)
        outcome = await _wait(request, job, state.settings.job_seconds)
    return await run_in_threadpool(_describe, outcome, threshold)


def _check_question(text: str) -> str:
    question = " ".join(text.split())
    if not question:
        raise RefusedError(422, "questions: a question is empty")
    if len(question) > LONGEST_QUESTION:
        raise RefusedError(422, f"questions: one has {len(question)} characters; at most {LONGEST_QUESTION}")
    if not question.isprintable():
        raise RefusedError(422, "questions: one has characters that cannot be printed")
    return question


@contextmanager
def _upload_folder(state: State) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix="upload-", dir=state.results.folder))
    except OSError as error:
        raise RefusedError(503, f"the server cannot keep the upload: {error.strerror}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _SceneOfFolder:
    """A scene of the server's folder."""

    key: str
    name: str
    path: Path
    open: Callable[[], AbstractContextManager[Scene]]


def _find_picture(
    state: State, folder: Path, image: UploadFile | None, sample: str | None, scene: str | None
) -> Picture | _SceneOfFolder:
    if scene is not None:
        found = state.scenes.find(scene)
        return _SceneOfFolder(f"scene {found.stamp}", scene, found.path, partial(state.scenes.open, scene))
    path = folder / "upload"  # the name of the client is never a path of ours
    if sample is not None:
        known = state.samples.by_name.get(sample)
        if known is None:
            raise RefusedError(404, f"there is no sample {sample!r}")
        path.write_bytes(known.content)
        return check_picture(path, f"{sample}.jpg", state.settings.most_pixels)
    assert image is not None
    name = Path((image.filename or "").replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable())[-_LONGEST_NAME:] or "picture"
    try:
        with path.open("wb") as target:
            shutil.copyfileobj(image.file, target)
    except OSError as error:
        raise RefusedError(503, f"the server cannot keep the upload: {error.strerror}") from None
    if image.size is not None and image.size > state.settings.upload_mb * 1_000_000:
        raise RefusedError(413, f"the upload is over {state.settings.upload_mb} MB")
    return check_picture(path, name, state.settings.most_pixels)


def _make_job(
    state: State,
    picture: Picture | _SceneOfFolder,
    questions: tuple[str, ...],
    area: str | None,
    task: str | None,
    words: bool,
) -> Job:
    """Make the job of a request; check the area of a scene, and that it is not too large."""

    def keep(answers: SceneAnswers, preview: np.ndarray) -> Result:
        return state.results.add(answers, preview, picture.name)

    if isinstance(picture, Picture) and not picture.is_raster:
        if area is not None:
            raise RefusedError(422, "area: the picture has no coordinates; leave it out")
        is_small = max(picture.height, picture.width) <= state.model.tile_side
        return Job(
            f"{picture.key} {task} {words}", picture.path, picture.open, questions, keep, None, task, is_small, words
        )
    with picture.open() as scene:
        window = scene.grid.whole if area is None else area_window(area, scene.grid)
        if window.height * window.width > state.settings.most_pixels and area is None:
            size = f"{scene.grid.width} x {scene.grid.height} px"
            line = f"{picture.name} has {size}; this server answers {state.settings.megapixels} megapixels at once"
            raise RefusedError(422, f"area: {line}: choose a smaller area")
        check_pixels("area", window.height, window.width, state.settings.most_pixels)
        scale = magnification(scene.grid, state.model)
        if window.height * window.width * scale > state.settings.most_pixels:
            times = f"{picture.name} has coarse pixels, so that the model sees {scale:.0f} times as many"
            line = f"{times}; this server answers {state.settings.megapixels} megapixels at once"
            raise RefusedError(422, f"area: {line}: choose a smaller area")
    key = f"{picture.key} {area} {task} {words}"
    return Job(key, picture.path, picture.open, questions, keep, area, task, words=words)


async def _wait(request: Request, job: Job, seconds: float) -> Outcome:
    """Wait for a job; it is dropped once its client is gone or its time is over."""
    until = time.monotonic() + seconds
    outcome = asyncio.wrap_future(job.done)
    try:
        while True:
            left = until - time.monotonic()
            done, _ = await asyncio.wait({outcome}, timeout=min(_LOOK_SECONDS, max(0.0, left)))
            if done:
                return outcome.result()
            if left <= 0:
                line = f"no answer within {seconds:g} s; ask fewer questions, or choose a smaller area"
                raise RefusedError(503, line, math.ceil(seconds))
            if await request.is_disconnected():
                raise RefusedError(_CLOSED_STATUS, "the client went away")
    finally:
        job.stop.set()
        outcome.cancel()


def _describe(outcome: Outcome, threshold: float) -> Segmented:
    """Describe answers at a threshold."""
    result = outcome.result
    bounds = mercator_bounds(result.grid)
    return Segmented(
        id=result.id,
        width=result.grid.width,
        height=result.grid.height,
        bounds=None if bounds is None else degrees(bounds),
        gsd=ground_resolution(result.grid),
        seconds=round(outcome.seconds, 3),
        waited=round(outcome.waited, 3),
        answers=[
            _describe_answer(result, number, threshold, bounds is not None) for number in range(len(result.answers))
        ],
    )


def _describe_answer(result: Result, number: int, threshold: float, has_map: bool) -> AnswerInfo:
    kept, place, at = result.answers[number], f"/results/{result.id}/{number}", f"?threshold={threshold:g}"
    answers = result.answer(number, threshold)
    share, area, regions = measure_answer(answers)
    return AnswerInfo(
        question=kept.question,
        has_target=kept.has_target,
        no_target_score=kept.no_target_score,
        share=share,
        area_m2=area,
        regions=regions,
        text=kept.text,
        links=Links(
            mask=f"{place}/mask.png{at}",
            probability=f"{place}/probability.png",
            geojson=f"{place}/answer.geojson{at}",
            geotiff=f"{place}/answer.tif{at}",
            overlay=f"{place}/overlay.png{at}",
            map=f"{place}/map.png" if has_map else None,
        ),
    )
