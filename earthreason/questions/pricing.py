"""What calls cost: prices from a dated table, image tokens by the provider's tile formula."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earthreason.errors import DataFormatError, DataNotFoundError

BUILT_IN = Path(__file__).parent / "prices.json"
_CHARACTERS_PER_TOKEN = 4.0
_TILE, _LONGEST, _SHORTEST = 512, 2048, 768


class ModelPrice(BaseModel):
    """US dollars per million tokens; tokens of an image and of each of its 512-pixel tiles."""

    model_config = ConfigDict(extra="forbid")

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    image_base: int = Field(default=85, ge=0)
    image_tile: int = Field(default=170, ge=0)


class Prices(BaseModel):
    """A price table and its date."""

    model_config = ConfigDict(extra="forbid")

    as_of: str
    note: str = ""
    models: dict[str, ModelPrice]

    def of(self, model: str) -> ModelPrice | None:
        """The price of a model; dated names such as `gpt-4o-2024-08-06` have that of the name they begin with."""
        names = [name for name in self.models if model == name or model.startswith(f"{name}-20")]
        return self.models[max(names, key=len)] if names else None

    def usd(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Cost of a call; 0 for a model without a price (a local one)."""
        price = self.of(model)
        return 0.0 if price is None else (price.input * input_tokens + price.output * output_tokens) / 1e6


def load_prices(path: Path | None = None) -> Prices:
    """Read a price table.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: it is none.
    """
    path = path or BUILT_IN
    if not path.is_file():
        raise DataNotFoundError(f"there is no price table {path}")
    try:
        return Prices.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataFormatError(f"{path}: {where}: {fault['msg']}; take {BUILT_IN} as a pattern") from None


def image_tokens(price: ModelPrice, height: int, width: int) -> int:
    """Tokens of an image in high detail (OpenAI's documented rule).

    It is scaled to fit 2,048 x 2,048, then until its shorter side is at most 768, and cut into tiles of 512.
    """
    scale = min(1.0, _LONGEST / max(height, width))
    scale *= min(1.0, _SHORTEST / (min(height, width) * scale))
    tiles = math.ceil(height * scale / _TILE) * math.ceil(width * scale / _TILE)
    return price.image_base + price.image_tile * tiles


def text_tokens(text: str) -> int:
    """A rough count: four characters a token, as for English."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
