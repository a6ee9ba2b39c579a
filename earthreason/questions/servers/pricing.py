"""Costs of calls: prices from a dated table, image tokens from the providers' rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, describe_validation_error
from earthreason.questions.types import Usage

BUILT_IN = Path(__file__).parent / "prices.json"
_CHARACTERS_PER_TOKEN = 4.0
_TILE, _LONGEST, _SHORTEST = 512, 2048, 768
_DATED = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6}|latest)$")
_MOST_TOKENS = 10**9
"""Larger counts are faults; SQLite could not hold the largest."""
_HIGHEST = 1e6
"""Largest price, US dollars per million tokens, and largest factor; more is a mistake."""


class ModelPrice(BaseModel, extra="forbid", allow_inf_nan=False, strict=True):
    """US dollars per million tokens, and the rule for the tokens of an image.

    Attributes:
        input: price of input.
        output: price of output.
        cached_input: price of input that the provider had cached; None means that of input.
        reasoning: price of reasoning tokens, which are part of the output; None means that of output.
        batch: price in a batch, as a share of the normal price.
        image_base, image_tile: tokens per image and per 512-pixel tile.
        image_patch: side of a patch, pixels; if given, an image has `image_factor` tokens per patch instead.
        image_factor: tokens per patch.
        image_limit: largest number of patches; None means that there is none.
    """

    input: float = Field(ge=0, le=_HIGHEST)
    output: float = Field(ge=0, le=_HIGHEST)
    cached_input: float | None = Field(default=None, ge=0, le=_HIGHEST)
    reasoning: float | None = Field(default=None, ge=0, le=_HIGHEST)
    batch: float = Field(default=0.5, ge=0, le=1)
    image_base: int = Field(default=85, ge=0)
    image_tile: int = Field(default=170, ge=0)
    image_patch: int | None = Field(default=None, ge=1)
    image_factor: float = Field(default=1.0, ge=0, le=_HIGHEST)
    image_limit: int | None = Field(default=None, ge=1)


class Tokens(BaseModel):
    """Tokens that a server reports: `cached` are part of `input`, `reasoning` of `output`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


class Prices(BaseModel, extra="forbid"):
    """A table of prices by model, and its date."""

    as_of: str = "your own table"
    note: str = ""
    models: dict[str, ModelPrice]

    def of(self, model: str) -> ModelPrice | None:
        """Return the price of a model, or None.

        A dated name such as `gpt-4o-2024-08-06` has the price of `gpt-4o` unless the table has one for it, and
        `openai/gpt-4o` or `openrouter/openai/gpt-4o` that of `gpt-4o`. A name without its provider, such as
        `gemini-2.5-pro`, has the price of the only entry that ends with it.
        """
        name = model
        while name:
            for known in (name, _DATED.sub("", name)):
                if known in self.models:
                    return self.models[known]
            name = name.partition("/")[2]
        last = _DATED.sub("", model.rpartition("/")[2])
        same = [price for known, price in self.models.items() if known.rpartition("/")[2] == last]
        return same[0] if len(same) == 1 else None

    def usd(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of a call in US dollars; 0 for a model without a price (a local one)."""
        return self.cost(model, Tokens(input=input_tokens, output=output_tokens))

    def cost(self, model: str, tokens: Tokens, batch: bool = False) -> float:
        """Return the cost of tokens in US dollars; 0 for a model without a price (a local one)."""
        price = self.of(model)
        if price is None:
            return 0.0
        cached = price.input if price.cached_input is None else price.cached_input
        reasoning = price.output if price.reasoning is None else price.reasoning
        read = price.input * (tokens.input - tokens.cached) + cached * tokens.cached
        written = price.output * (tokens.output - tokens.reasoning) + reasoning * tokens.reasoning
        return (price.batch if batch else 1.0) * (read + written) / 1e6

    def usage(self, model: str, completion: Mapping[str, Any], most: Usage | None = None, batch: bool = False) -> Usage:
        """Return the tokens that a completion reports, and their cost.

        Args:
            model: name of the model.
            completion: JSON of the completion.
            most: returned if the completion reports no usage, or an impossible one; None means nothing.
            batch: whether it comes from a batch.
        """
        tokens = reported_tokens(completion)
        if tokens is None:
            return most or Usage()
        return Usage(tokens.input, tokens.output, self.cost(model, tokens, batch))


@dataclass
class Spending:
    """What a request has cost so far: what its answers report, and what attempts without a report may have cost.

    Attributes:
        most: the most that one attempt may cost, as things stand.
        known: reported usage.
        uncertain: attempts in flight, timed out or lost; each with the most that it may have cost.
        admit: called before each attempt with what the request may have cost after it, US dollars; raises if the
            attempt may not be made.
    """

    most: Usage = field(default_factory=Usage)
    known: Usage = field(default_factory=Usage)
    uncertain: list[Usage] = field(default_factory=list)
    admit: Callable[[float], None] | None = None

    @property
    def usage(self) -> Usage:
        """Everything that was or perhaps was paid."""
        return sum(self.uncertain, self.known)

    def begin(self) -> None:
        """Count an attempt as perhaps paid, if it may be made."""
        if self.admit is not None:
            self.admit(self.usage.usd + self.most.usd)
        self.uncertain.append(self.most)

    def cancel(self) -> None:
        """Count the latest attempt as not paid."""
        self.uncertain.pop()

    def settle(self, usage: Usage) -> None:
        """Replace the latest attempt by what its answer reports."""
        self.cancel()
        self.known += usage


def reported_tokens(completion: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens that a completion reports; None if it reports none, negative or otherwise impossible ones.

    Some servers report reasoning tokens beside `completion_tokens` instead of within; the total tells.
    """
    counts = completion.get("usage")
    if not isinstance(counts, Mapping):
        return None
    read = _count(counts, "prompt_tokens", "input_tokens")
    written = _count(counts, "completion_tokens", "output_tokens")
    if read is None or written is None or read + written == 0:
        return None
    cached = _detail(counts, "prompt_tokens_details", "cached_tokens") or _count(counts, "prompt_cache_hit_tokens") or 0
    reasoning = _detail(counts, "completion_tokens_details", "reasoning_tokens") or 0
    if _count(counts, "total_tokens") == read + written + reasoning:
        written += reasoning
    return Tokens(input=read, output=written, cached=min(cached, read), reasoning=min(reasoning, written))


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    value = next((counts[name] for name in names if name in counts), None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return None
    return int(value)


def _detail(counts: Mapping[str, Any], group: str, name: str) -> int | None:
    details = counts.get(group)
    return _count(details, name) if isinstance(details, Mapping) else None


def describe_unpriced(model: str) -> str:
    """Say what to do about a model without a price."""
    return (
        f"no price is known for {model}: give --price IN,OUT (US dollars per million tokens; 0,0 for your own server), "
        f'or --prices FILE with {{"models": {{"{model}": {{"input": IN, "output": OUT}}}}}}'
    )


def load_prices(path: Path | None = None, given: Sequence[str] = (), models: Sequence[str] = ()) -> Prices:
    """Read the built-in price table, with the user's own prices in front.

    Args:
        path: file with a table whose prices replace the built-in ones.
        given: prices as `IN,OUT` or `IN,OUT,CACHED` for all `models`, or as `MODEL=IN,OUT` for one.
        models: models in use.

    Raises:
        DataNotFoundError: the file does not exist.
        DataFormatError: the file is not a price table.
        EarthReasonError: a given price is malformed.
    """
    table = _read(BUILT_IN)
    if path is not None:
        own = _read(path)
        table = own.model_copy(update={"models": {**table.models, **own.models}})
    prices = dict(table.models)
    for text in given:
        model, numbers = _parse_price(text)
        if model and model not in models:
            raise EarthReasonError(f"--price {text}: no stage uses the model {model}; in use: {', '.join(models)}")
        for name in [model] if model else models:
            prices[name] = (table.of(name) or numbers).model_copy(update=numbers.model_dump(exclude_unset=True))
    return table.model_copy(update={"models": prices})


def _parse_price(text: str) -> tuple[str, ModelPrice]:
    model, _, numbers = text.rpartition("=")
    try:
        values = dict(zip(("input", "output", "cached_input"), map(float, numbers.split(",")), strict=False))
        if len(values) != len(numbers.split(",")) or values.get("cached_input", 0) > values["input"]:
            raise ValueError
        return model.strip(), ModelPrice.model_validate(values | {"cached_input": values.get("cached_input")})
    except (ValueError, KeyError):
        raise EarthReasonError(
            f"--price {text}: not a price; write IN,OUT or IN,OUT,CACHED or MODEL=IN,OUT, such as 2.5,10 (US dollars "
            "per million tokens, with decimal points)"
        ) from None


def _read(path: Path) -> Prices:
    if not path.is_file():
        raise DataNotFoundError(f"there is no price table {path}")
    try:
        return Prices.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = describe_validation_error(error, limit=1)
        raise DataFormatError(f"{path}: {fault}; {BUILT_IN} shows the format") from None


def image_tokens(price: ModelPrice, height: int, width: int) -> int:
    """Count the tokens of an image of that size, pixels, in high detail, by the provider's documented rule.

    With tiles, the image is scaled to fit 2,048 x 2,048, then until its shorter side is at most 768, and cut into tiles
    of 512. With patches, those that cover it are counted.
    """
    if price.image_patch is not None:
        patches = math.ceil(height / price.image_patch) * math.ceil(width / price.image_patch)
        return math.ceil(price.image_factor * min(patches, price.image_limit or patches))
    scale = min(1.0, _LONGEST / max(height, width))
    scale *= min(1.0, _SHORTEST / (min(height, width) * scale))
    tiles = math.ceil(height * scale / _TILE) * math.ceil(width * scale / _TILE)
    return price.image_base + price.image_tile * tiles


def text_tokens(text: str) -> int:
    """Estimate the number of tokens: one for every four characters, as in English."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
