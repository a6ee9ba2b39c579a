"""Costs of calls: prices from a dated table, image tokens from the provider's tile formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from earthreason.errors import DataFormatError, DataNotFoundError, describe_validation_error
from earthreason.questions.types import Usage

BUILT_IN = Path(__file__).parent / "prices.json"
_CHARACTERS_PER_TOKEN = 4.0
_TILE, _LONGEST, _SHORTEST = 512, 2048, 768


class ModelPrice(BaseModel, extra="forbid"):
    """US dollars per million tokens; tokens per image and per 512-pixel tile of an image."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    image_base: int = Field(default=85, ge=0)
    image_tile: int = Field(default=170, ge=0)


class Prices(BaseModel, extra="forbid"):
    """A table of prices by model, and its date."""

    as_of: str
    note: str = ""
    models: dict[str, ModelPrice]

    def of(self, model: str) -> ModelPrice | None:
        """Return the price of a model; a dated name such as `gpt-4o-2024-08-06` has the price of `gpt-4o`."""
        names = [name for name in self.models if model == name or model.startswith(f"{name}-20")]
        return self.models[max(names, key=len)] if names else None

    def usd(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of a call in US dollars; 0 for a model without a price (a local one)."""
        price = self.of(model)
        return 0.0 if price is None else (price.input * input_tokens + price.output * output_tokens) / 1e6

    def usage(self, model: str, completion: Mapping[str, Any], price_factor: float = 1.0) -> Usage:
        """Return the tokens that a completion reports, and their cost times `price_factor`."""
        counts = completion.get("usage") or {}
        read, written = (int(counts.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        return Usage(read, written, price_factor * self.usd(model, read, written))


def load_prices(path: Path | None = None) -> Prices:
    """Read a price table.

    Raises:
        DataNotFoundError: the file does not exist.
        DataFormatError: the file is not a price table.
    """
    path = path or BUILT_IN
    if not path.is_file():
        raise DataNotFoundError(f"there is no price table {path}")
    try:
        return Prices.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = describe_validation_error(error, limit=1)
        raise DataFormatError(f"{path}: {fault}; {BUILT_IN} shows the format") from None


def image_tokens(price: ModelPrice, height: int, width: int) -> int:
    """Count the tokens of an image of that size, pixels, in high detail, by OpenAI's documented rule.

    The image is scaled to fit 2,048 x 2,048, then until its shorter side is at most 768, and cut into tiles of 512.
    """
    scale = min(1.0, _LONGEST / max(height, width))
    scale *= min(1.0, _SHORTEST / (min(height, width) * scale))
    tiles = math.ceil(height * scale / _TILE) * math.ceil(width * scale / _TILE)
    return price.image_base + price.image_tile * tiles


def text_tokens(text: str) -> int:
    """Estimate the number of tokens: one for every four characters, as in English."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
