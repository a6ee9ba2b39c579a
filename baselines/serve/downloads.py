"""The files of answers: pictures for the page, and layers for GIS programs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from earthreason.errors import EarthReasonError

from .browsing import THRESHOLD
from .rendering import map_png, mask_png, overlay_png, probability_png
from .results import Result
from .schemas import errors
from .segmenting import write_answer
from .settings import RefusedError
from .state import Shared, State

router = APIRouter(prefix="/results/{id}/{number}")
_PNG = {**errors(404, 422), 200: {"content": {"image/png": {}}}}
_KEEP = "private, max-age=3600, immutable"

Id = Annotated[str, Path(max_length=64, description="The id that /segment gave.")]
Number = Annotated[int, Path(description="Number of the answer, from 0.")]
Threshold = Annotated[
    float, Query(ge=0, le=1, allow_inf_nan=False, description="Probability above which pixels are marked.")
]


@router.get("/probability.png", response_class=Response, responses=_PNG)
async def get_probability(id: Id, number: Number, state: Shared) -> Response:
    """Get the probabilities: grey is round(255 * probability), and alpha is 0 where there is no data."""
    return await _picture(state, id, lambda result: probability_png(result, number))


@router.get("/map.png", response_class=Response, responses=_PNG)
async def get_map(id: Id, number: Number, state: Shared) -> Response:
    """Get the probabilities in Web Mercator, at the bounds of the result."""
    return await _picture(state, id, lambda result: map_png(result, number))


@router.get("/mask.png", response_class=Response, responses=_PNG)
async def get_mask(id: Id, number: Number, state: Shared, threshold: Threshold = THRESHOLD) -> Response:
    """Get the mask: 255 on the target, 0 elsewhere."""
    return await _picture(state, id, lambda result: mask_png(result, number, threshold))


@router.get("/overlay.png", response_class=Response, responses=_PNG)
async def get_overlay(id: Id, number: Number, state: Shared, threshold: Threshold = THRESHOLD) -> Response:
    """Get the picture with the mask over it, at most 2,048 px a side."""
    return await _picture(state, id, lambda result: overlay_png(result, number, threshold))


@router.get(
    "/answer.geojson",
    response_class=Response,
    responses={**errors(404, 422), 200: {"content": {"application/geo+json": {}}}},
)
async def get_geojson(id: Id, number: Number, state: Shared, threshold: Threshold = THRESHOLD) -> Response:
    """Download the polygons of the target."""
    return await _file(state, id, number, threshold, ".geojson", "application/geo+json")


@router.get(
    "/answer.tif",
    response_class=Response,
    responses={**errors(404, 422), 200: {"content": {"image/tiff": {}}}},
)
async def get_geotiff(id: Id, number: Number, state: Shared, threshold: Threshold = THRESHOLD) -> Response:
    """Download the mask as a GeoTIFF."""
    return await _file(state, id, number, threshold, ".tif", "image/tiff")


async def _picture(state: State, identity: str, draw: Callable[[Result], bytes]) -> Response:
    drawn = await run_in_threadpool(lambda: draw(state.results.get(identity)))
    return Response(drawn, media_type="image/png", headers={"Cache-Control": _KEEP})


async def _file(state: State, identity: str, number: int, threshold: float, suffix: str, media: str) -> Response:
    def write() -> tuple[bytes, str]:
        result = state.results.get(identity)
        answers = result.answer(number, threshold)
        with tempfile.TemporaryDirectory(dir=state.results.folder) as folder:
            path = FilePath(folder) / f"answer{suffix}"
            name = f"{_plain(result.name)}_answer_{number + 1}{suffix}"
            try:
                write_answer(path, answers)
            except EarthReasonError as error:
                # The folder is ours, and says nothing to who asked.
                raise RefusedError(422, str(error).replace(str(path), name)) from None
            return path.read_bytes(), name

    content, name = await run_in_threadpool(write)
    disposition = f'attachment; filename="{name}"'
    return Response(content, media_type=media, headers={"Cache-Control": _KEEP, "Content-Disposition": disposition})


def _plain(name: str) -> str:
    """Turn the name of a picture into one that every file system and header takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", FilePath(name).stem)[:60].strip("._") or "picture"
