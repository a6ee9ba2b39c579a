"""EarthReason for PyTorch: place samples on a model's square canvas, and map its logits back to the size of the image.

The geometry is that of `Grid("letterbox", side)`, so masks on the canvas equal those that the judge scores there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from earthreason.data.pictures import DEEP_MODES
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.grids import Grid, nearest_indices, place_on_grid

if TYPE_CHECKING:
    from datasets import Dataset


def rgb_tensor(image: Image.Image) -> Tensor:
    """Convert a picture to (3, H, W) uint8; grey, palette, RGBA and CMYK pictures become RGB.

    Raises:
        EarthReasonError: the picture has no pixels, or more than 8 bits a channel.
    """
    if 0 in image.size:
        raise EarthReasonError(f"the image is {image.width} x {image.height} pixels, but both sides must be at least 1")
    if image.mode in DEEP_MODES:
        raise EarthReasonError(f"the image has mode {image.mode}; stretch it to 8 bits a channel first")
    return torch.from_numpy(np.array(image if image.mode == "RGB" else image.convert("RGB"))).permute(2, 0, 1)


def letterbox_image(image: Image.Image, side: int) -> Tensor:
    """Scale the longer side to `side`, bilinearly without antialiasing as in the reference, and pad with black.

    Returns:
        (3, side, side) uint8.
    """
    return letterbox_pixels(rgb_tensor(image), side)


def letterbox_pixels(pixels: Tensor, side: int) -> Tensor:
    """Do the same as `letterbox_image` with (3, H, W) uint8 pixels."""
    grid = Grid("letterbox", side)
    height, width = pixels.shape[1:]
    rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
    top, left = grid.padding(height, width)
    if (rows, columns) == (height, width) == (side, side):
        return pixels
    resized = F.interpolate(pixels.unsqueeze(0), size=(rows, columns), mode="bilinear", align_corners=False)[0]
    canvas = torch.zeros(3, side, side, dtype=torch.uint8)
    canvas[:, top : top + rows, left : left + columns] = resized[:, : side - top, : side - left]
    return canvas


def canvas_logits(logits: Tensor, side: int) -> Tensor:
    """Resize (h, w) logits of a model to the (side, side) canvas, bilinearly in float32."""
    return F.interpolate(logits[None, None].float(), size=(side, side), mode="bilinear", align_corners=False)[0, 0]


def restore_logits(logits: Tensor, side: int, height: int, width: int) -> Tensor:
    """Resize (h, w) logits of a model to the (height, width) of the image, the inverse of the letterbox."""
    grid = Grid("letterbox", side)
    rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
    top, left = grid.padding(height, width)
    inside = canvas_logits(logits, side)[top : top + rows, left : left + columns]
    return F.interpolate(inside[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]


def restore_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Map a (side, side) mask to the (height, width) of the image; exact where the canvas is no smaller than it."""
    grid = Grid("letterbox", mask.shape[-1])
    top, left = grid.padding(height, width)
    rows, columns = grid.resized_shape(height, width)
    down, across = (_first_use(*lengths) for lengths in ((height, rows), (width, columns)))
    return mask[torch.from_numpy(top + down)][:, torch.from_numpy(left + across)]


def _first_use(source: int, target: int) -> np.ndarray:
    """Return for each source pixel the first target pixel that samples it or, if none does, a later source pixel."""
    return np.minimum(np.searchsorted(nearest_indices(source, target), np.arange(source)), max(0, target - 1))


class Item(TypedDict):
    """A question about an image, and its target.

    `image` is (3, side, side) uint8 and `mask` (side, side) bool, on the letterboxed canvas, to train with.
    `native_mask` is (height, width) bool, at the image's own size, to score against.
    """

    image: Tensor
    mask: Tensor
    native_mask: Tensor
    question: str
    answer: str | None
    sample_id: str
    question_index: int
    height: int
    width: int


QuestionPolicy = Literal["first", "random", "all"]
_COLUMNS = ("sample_id", "image", "mask", "questions", "answers")


def _check_number(name: str, value: int, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise EarthReasonError(f"{name} is a whole number from {lowest}, not {value!r}")


def _plain_rows(rows: Dataset) -> Dataset:
    """Return the rows in the plain format, whatever `with_format` says.

    Raises:
        EarthReasonError: the rows are no split in memory or on disk, or lack a column.
    """
    from datasets import Dataset, IterableDataset

    if isinstance(rows, dict):
        raise EarthReasonError(f"give one split, such as rows[{next(iter(rows), 'train')!r}], not all of them")
    if isinstance(rows, IterableDataset):
        raise EarthReasonError("a stream has no length and no order to index; load the split without streaming=True")
    if not isinstance(rows, Dataset):
        return rows
    if lacking := [name for name in _COLUMNS if name not in rows.column_names]:
        raise EarthReasonError(f"the rows have no column {', '.join(lacking)}; keep {', '.join(_COLUMNS)}")
    return rows.with_format(None)


class PixelReasoningDataset(TorchDataset[Item]):
    """PyTorch dataset of a split: letterboxed images and masks, and masks at the images' own size, per question.

    Native masks differ in size, so a DataLoader needs `collate_fn=collate`.

    The question that `random` selects depends only on seed, epoch and sample, not on workers or order; call `set_epoch`
    before each epoch.
    """

    def __init__(self, rows: Dataset, side: int = 1024, questions: QuestionPolicy = "first", seed: int = 0) -> None:
        """Wrap a split.

        Args:
            rows: split loaded by `load_dataset`.
            side: side of the canvas in pixels.
            questions: `first` and `random` give one question per sample, `all` gives every question as its own item.
            seed: seed of `random`.

        Raises:
            UnknownNameError: the policy is unknown.
            EarthReasonError: `rows` is a stream, a dict of splits, or lacks a column; `side` or `seed` is out of range.
        """
        if questions not in ("first", "random", "all"):
            raise UnknownNameError("question policy", questions, ("first", "random", "all"))
        _check_number("side", side, 1)
        _check_number("seed", seed, 0)
        rows = _plain_rows(rows)
        self.rows, self.side, self.questions, self.seed, self.epoch = rows, side, questions, seed, 0
        lengths = [len(asked) for asked in rows["questions"]] if questions == "all" else []
        self._pairs = [(row, index) for row, count in enumerate(lengths) for index in range(count)]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, so that `random` selects other questions."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._pairs) if self.questions == "all" else len(self.rows)

    def __getitem__(self, number: int) -> Item:
        row, index = self._pairs[number] if self.questions == "all" else (number, 0)
        sample = sample_of_row(self.rows[row])
        if self.questions == "random":
            index = int(np.random.default_rng([self.seed, self.epoch, row]).integers(len(sample.questions)))
        size = (sample.image.height, sample.image.width)
        if size != sample.mask.shape:
            raise EarthReasonError(
                f"sample {sample.sample_id!r}: the image is {size[0]}x{size[1]} (height x width) but the mask is "
                f"{sample.mask.shape[0]}x{sample.mask.shape[1]}; load the rows by earthreason.load_dataset, which "
                "settles EXIF rotations"
            )
        mask = place_on_grid(sample.mask, Grid("letterbox", self.side))
        return Item(
            image=letterbox_image(sample.image, self.side),
            mask=torch.from_numpy(mask),
            native_mask=torch.from_numpy(sample.mask),
            question=sample.questions[index],
            answer=sample.answers[index % len(sample.answers)] if sample.answers else None,
            sample_id=sample.sample_id,
            question_index=index,
            height=sample.height,
            width=sample.width,
        )


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Stack images to (B, 3, side, side) and masks to (B, side, side); collect native masks and the rest in lists."""
    batch: dict[str, Any] = {key: [item[key] for item in items] for key in items[0]}  # type: ignore[literal-required]
    # In a worker `default_collate` stacks straight into shared memory.
    return {**batch, **{key: default_collate(batch[key]) for key in ("image", "mask")}}
