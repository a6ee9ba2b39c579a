"""Make the batches of each step from the rows of a split, in an order that depends on the seed only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.torch import PixelReasoningDataset

from ..common.processes import prefetch, usable_cores
from ..common.resolution import GroundResolution, range_of
from .categories import CategoryMaps, TrainItem
from .config import TrainConfig
from .learner import Batch, Collate, Learner
from .order import Order, empty_rows, micro_batches

if TYPE_CHECKING:
    from datasets import Dataset

Passes = list[tuple[int, Batch]]
"""Forward passes of one process in one step, each with its number among those of all processes."""

_DIRECTION = re.compile(
    r"\b((?:left|right|top|bottom|upper|lower)(?:most|wards?|hand)?|(?:up|down)wards?"
    r"|(?:higher|farther|further) (?:up|down)"
    r"|above|below|beneath|(?:counter|anti)?clockwise|o['’]clock|horizontal\w*|vertical\w*"
    r"|(?:first|second|third|fourth|fifth|last|next|\d+(?:st|nd|rd|th)) (?:row|column)"
    r"|north\w*|south\w*|east\w*|west\w*|(?-i:[NESW]?[NS][EW])"
    r"|dawn|dusk|sunrise|sunset|(?:morning|midday|noon|afternoon|evening) (?:sun|light|shade|shadow)"
    r"|shadows? (?:falls?|points?))\b",
    re.IGNORECASE,
)


def order_of(rows: Dataset, config: TrainConfig) -> Order:
    """Make the data order of a run over a training split.

    Raises:
        EarthReasonError: the split does not fill a batch, or lacks the samples that `empty_share` needs.
    """
    share, batch = config.data.empty_share, config.optim.global_batch
    if len(rows) < batch:
        raise EarthReasonError(f"a batch of {batch} is not filled by {count_of(len(rows), 'training sample')}")
    empties = empty_rows(rows["is_empty"]) if share is not None else ()
    if share is not None and ((share > 0 and not empties) or (share < 1 and len(empties) == len(rows))):
        kind = "empty target" if not empties else "sample with a target"
        raise EarthReasonError(f"data.empty_share={share}: the training split has no {kind}")
    return Order(len(rows), batch, config.seed, empties, share)


def texts_of(rows: Dataset) -> list[str]:
    """List the questions, then the answers of a split."""
    return [text for key in ("questions", "answers") for texts in rows[key] for text in texts]


def resolution_of(rows: Dataset, side: int) -> GroundResolution | None:
    """Return the range of ground resolutions of a split on a canvas of `side` pixels; None if it states none."""
    return range_of(rows["ground_resolution"], rows["height"], rows["width"], side)


def check_texts(rows: Dataset, config: TrainConfig, collate: Collate) -> None:
    """Refuse a training split with a question or answer that is too long for the language model.

    Raises:
        EarthReasonError: a text is too long; the message names the sample.
    """
    processor = collate.processor
    shortest = [processor.prompt("?", collate.task, answer, reply=True) for answer in ("?", None)]
    spare = processor.max_length - max(map(len, shortest))
    asked = 1 if config.data.question == "first" else None
    for name, questions, answers in zip(rows["sample_id"], rows["questions"], rows["answers"], strict=True):
        for question, answer in product(questions[:asked], answers or [None]):
            # Each token has at least one byte. Wordings vary with the texts, but not by half of what they leave free.
            if len(question.encode()) + len((answer or "").encode()) <= spare // 2:
                continue
            try:
                processor.prompt(question, collate.task, answer, reply=True)
            except EarthReasonError as error:
                raise EarthReasonError(f"training sample {name}: {error}") from None


class StepDataset(TorchDataset[Passes]):
    """Dataset whose item `n` holds the forward passes of this process in step `n`."""

    def __init__(
        self, rows: Dataset, learner: Learner, config: TrainConfig, order: Order, rank: int = 0, ranks: int = 1
    ) -> None:
        """Wrap a training split.

        Args:
            rows: rows of the split.
            learner: learner whose `collate` makes the batches.
            config: configuration of the run.
            order: data order of the run.
            rank: number of this process.
            ranks: number of processes.

        Raises:
            EarthReasonError: the global batch cannot be divided among the processes, or there are no category maps.
        """
        self.items = PixelReasoningDataset(rows, learner.image_size, config.data.question, config.seed)
        self.maps = CategoryMaps.of(config.data) if config.data.category_maps else None
        self.collate, self.config, self.order, self.rank, self.ranks = learner.collate, config, order, rank, ranks
        try:
            micro_batches(order.rows(0), config.optim.micro_batch, rank, ranks)
        except ValueError as error:
            raise EarthReasonError(str(error)) from None

    def __getitem__(self, step: int) -> Passes:
        self.items.set_epoch(self.order.epoch_of(step))
        passes = micro_batches(self.order.rows(step), self.config.optim.micro_batch, self.rank, self.ranks)
        return [(number, self.collate([self._item(int(row), step) for row in rows])) for number, rows in passes]

    def _item(self, row: int, step: int) -> TrainItem:
        item = cast(TrainItem, self.items[row])
        item["image"] = self.collate.processor.mark_padding(item["image"], item["height"], item["width"])
        if self.maps is not None:
            item["categories"] = self.maps.read(
                item["sample_id"], (item["height"], item["width"]), item["mask"].shape[-1]
            )
        if self.config.data.augment == "dihedral":
            item = turned(item, int(np.random.default_rng([self.config.seed, 3, step, row]).integers(8)))
        if share := self.config.data.word_dropout:  # after turning, which depends on the words
            chance = np.random.default_rng([self.config.seed, 4, step, row])
            item["question"] = without_words(item["question"], share, chance)
        return item

    def iterate(self, start: int, steps: int) -> Iterator[Passes]:
        """Yield the passes of each step from `start` on, prepared by worker processes or a thread."""
        numbers, workers = range(start, steps), count_workers(self.config.workers)
        if not workers:
            return prefetch(self.__getitem__, numbers)
        loader: DataLoader[Passes] = DataLoader(
            self,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            multiprocessing_context=_context(),
            pin_memory=torch.cuda.is_available(),
        )
        return iter(loader)


def count_workers(asked: int | Literal["auto"]) -> int:
    """Return the number of processes that load data; `auto` is all cores but one with a GPU, at most 16, else 0."""
    if asked != "auto":
        return asked
    return max(1, min(16, usable_cores() - 1)) if torch.cuda.is_available() else 0


def _context() -> BaseContext:
    """Return how worker processes start: forked from a server with all imports if possible, else spawned."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def without_words(text: str, share: float, chance: np.random.Generator) -> str:
    """Leave out each word of a text with probability `share`, but never all of them."""
    words = text.split()
    kept = [word for word, drawn in zip(words, chance.random(len(words)), strict=True) if drawn >= share]
    return " ".join(kept or words)


def names_direction(texts: Sequence[str | None]) -> bool:
    """Return whether a text names a direction, which a rotation or flip of the image would make wrong."""
    return any(_DIRECTION.search(text) for text in texts if text)


def turned(item: TrainItem, symmetry: int) -> TrainItem:
    """Rotate and flip image, mask and category map; return items whose texts name a direction unchanged.

    Args:
        item: item with a square canvas.
        symmetry: 0 to 7: number of quarter turns modulo 4, followed by a flip from 4 on.
    """
    if names_direction([item["question"], item["answer"]]):
        return item
    quarters, mirrored = symmetry % 4, symmetry >= 4
    changed = TrainItem(**item)
    for name in ("image", "mask", "native_mask", "categories"):
        if name in item:
            rotated = torch.rot90(item[name], quarters, (-2, -1))
            changed[name] = rotated.flip(-1) if mirrored else rotated
    changed["height"], changed["width"] = changed["native_mask"].shape
    return changed
