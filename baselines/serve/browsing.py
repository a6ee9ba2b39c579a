"""What there is to ask about: the model, the samples, the scenes; and health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.concurrency import run_in_threadpool

from earthreason.geo.resolution import ground_resolution

from .schemas import Health, Info, Limits, SampleInfo, SceneInfo, errors
from .segmenting import can_write, tasks_of
from .settings import LONGEST_QUESTION, MOST_QUESTIONS, RefusedError
from .state import Shared, State

THRESHOLD = 0.5
"""Probability above which pixels are marked, unless a request says otherwise."""
router = APIRouter()
_Responses = dict[int | str, dict[str, Any]]
_PNG: _Responses = {200: {"content": {"image/png": {}}}}
_JPEG: _Responses = {200: {"content": {"image/jpeg": {}}}}
_TEXT: _Responses = {200: {"content": {"text/plain": {}}}}
_A_DAY = "private, max-age=86400"
_ASK_AGAIN = "private, no-cache"
"""Browsers keep the picture, but ask whether the file has changed."""

Known = Annotated[str | None, Header(alias="If-None-Match", include_in_schema=False)]
SceneName = Annotated[str, Path(max_length=255, description="File name of a scene.")]


@router.get("/api/info", summary="Describe the server", responses=errors())
async def get_info(state: Shared) -> Info:
    """The model, the limits, the samples and the scenes."""
    return await run_in_threadpool(_describe, state)


def _describe(state: State) -> Info:
    settings, model = state.settings, state.model
    samples = state.samples.by_name.values()
    return Info(
        model=model.name,
        checkpoint=settings.checkpoint,
        device=settings.device,
        tile_side=model.tile_side,
        no_target_threshold=model.no_target_threshold,
        threshold=THRESHOLD,
        ground_resolution=model.ground_resolution,
        tasks=list(tasks_of(model)),
        words=can_write(model),
        limits=Limits(
            upload_mb=settings.upload_mb,
            megapixels=settings.megapixels,
            questions=MOST_QUESTIONS,
            question_length=LONGEST_QUESTION,
            queue=settings.queue,
        ),
        samples=[
            SampleInfo(
                name=sample.name,
                title=sample.title,
                picture=f"/api/samples/{sample.name}.jpg",
                width=sample.width,
                height=sample.height,
                questions=list(sample.questions),
            )
            for sample in samples
        ],
        scenes=[
            SceneInfo(
                name=scene.name,
                width=scene.grid.width,
                height=scene.grid.height,
                gsd=ground_resolution(scene.grid),
                bounds=scene.bounds,
            )
            for scene in state.scenes.list()
        ],
    )


@router.get("/api/samples/{name}.jpg", response_class=Response, responses={**errors(404, 422), **_JPEG})
async def get_sample(name: Annotated[str, Path(max_length=64)], state: Shared) -> Response:
    """Get the picture of a sample."""
    sample = (await run_in_threadpool(lambda: state.samples.by_name)).get(name)
    if sample is None:
        raise RefusedError(404, f"there is no sample {name!r}")
    return Response(sample.content, media_type="image/jpeg", headers={"Cache-Control": _A_DAY})


@router.get("/api/scenes/{name}/{z}/{x}/{y}.png", response_class=Response, responses={**errors(404, 422), **_PNG})
async def get_tile(name: SceneName, z: int, x: int, y: int, state: Shared, known: Known = None) -> Response:
    """Get a Web Mercator tile of 256 px of a scene; it is transparent where there is no data."""
    return await _drawn(state, name, f"{z}-{x}-{y}", known, lambda: state.scenes.tile(name, z, x, y))


@router.get("/api/scenes/{name}/overview.png", response_class=Response, responses={**errors(404, 422), **_PNG})
async def get_overview(name: SceneName, state: Shared, known: Known = None) -> Response:
    """Get a whole scene, at most 2,048 px a side."""
    return await _drawn(state, name, "overview", known, lambda: state.scenes.overview(name))


async def _drawn(state: State, name: str, part: str, known: str | None, draw: Callable[[], bytes]) -> Response:
    tag = f'"{await run_in_threadpool(state.scenes.stamp, name)}-{part}"'
    headers = {"ETag": tag, "Cache-Control": _ASK_AGAIN}
    if known is not None and tag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(await run_in_threadpool(draw), media_type="image/png", headers=headers)


@router.get("/health", summary="Check that the server runs", responses=errors())
async def get_health(state: Shared) -> Health:
    """Answered at once, even while the model works."""
    return Health(status="ok", queue=len(state.jobs), model=state.model.name)


@router.get("/metrics", response_class=Response, responses={**errors(), **_TEXT})
async def get_metrics(state: Shared) -> Response:
    """Get counts and times in Prometheus's text format."""
    text = state.measures.text(len(state.jobs), len(state.results))
    return Response(text, media_type="text/plain; version=0.0.4")
