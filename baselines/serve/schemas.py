"""What the HTTP API gives, for its description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Bounds = tuple[float, float, float, float]
"""West, south, east, north, in degrees of WGS 84."""


class ErrorBody(BaseModel):
    """What is wrong with a request, in one line."""

    error: str


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors that a call may give; requests of other sites get 400 and 403 from every call."""
    return {status: {"model": ErrorBody} for status in (400, 403, *statuses)}


class Limits(BaseModel):
    """What the server takes."""

    upload_mb: int
    megapixels: int
    questions: int
    question_length: int
    queue: int


class SampleInfo(BaseModel):
    """A sample with questions to try."""

    name: str
    title: str
    picture: str
    width: int
    height: int
    questions: list[str]


class SceneInfo(BaseModel):
    """A scene of the server's folder."""

    name: str
    width: int
    height: int
    gsd: float | None = Field(description="Metres per pixel.")
    bounds: Bounds | None = Field(description="West, south, east, north in degrees of WGS 84.")


class Info(BaseModel):
    """The model, the limits, and what there is to ask about."""

    model: str
    checkpoint: str
    device: str
    tile_side: int
    no_target_threshold: float
    threshold: float
    ground_resolution: tuple[float, float] | None
    tasks: list[str]
    words: bool = Field(description="Whether the model can also answer in words.")
    limits: Limits
    samples: list[SampleInfo]
    scenes: list[SceneInfo]


class Links(BaseModel):
    """Addresses of the files of an answer."""

    mask: str
    probability: str
    geojson: str
    geotiff: str
    overlay: str
    map: str | None = Field(description="Probabilities in Web Mercator, at the bounds of the result.")


class AnswerInfo(BaseModel):
    """The answer to one question."""

    question: str
    has_target: bool
    no_target_score: float
    share: float = Field(description="Share of the pixels with data that are marked.")
    area_m2: float | None = Field(description="Area on the ellipsoid; null without a CRS.")
    regions: int = Field(description="Number of connected regions.")
    text: str | None = Field(description="The answer in words, if it was asked for.")
    links: Links


class Segmented(BaseModel):
    """The answers about a picture."""

    id: str
    width: int
    height: int
    bounds: Bounds | None
    gsd: float | None
    seconds: float = Field(description="Time of the model.")
    waited: float = Field(description="Time in the queue, in seconds.")
    answers: list[AnswerInfo]


class Health(BaseModel):
    """State of the server."""

    status: Literal["ok"]
    queue: int
    model: str
