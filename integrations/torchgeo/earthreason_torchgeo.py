"""EarthReason in torchgeo: a `NonGeoDataset` and its data module.

Copy this file beside your code. It needs `earthreason`, `torchgeo` and `lightning`; torchgeo 0.8.1 was run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoDataset

from earthreason import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.masks.grids import Grid, place_on_grid
from earthreason.torch import letterbox_image, rgb_tensor

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Names of the splits in `load_dataset`, by torchgeo's names."""
IGNORED = 255
"""Value of `mask` where a pixel counts neither as target nor as background; give it to the loss as `ignore_index`."""


class EarthReason(NonGeoDataset):
    """Images with a question and the mask of its answer, as torchgeo's datasets give them.

    A sample is a dict: `image` is (3, H, W) float32 from 0 to 255, `mask` (H, W) int64 with 0, 1 and `IGNORED`,
    `question`, `answer` and `sample_id` are texts.
    """

    classes = ("background", "target")

    def __init__(
        self,
        config: str = "default",
        split: str = "train",
        side: int | None = None,
        transforms: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        """Load a split.

        Args:
            config: configuration of `earthreason.load_dataset`, such as `sample`.
            split: `train`, `val` or `test`.
            side: side of a square canvas in pixels, on which images and masks are letterboxed, so that they can be
                stacked; None keeps their own sizes.
            transforms: function that changes a sample.
            **options: options of `earthreason.load_dataset`, such as `data_dir`.

        Raises:
            ValueError: torchgeo has no split of that name.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {', '.join(SPLITS)}, not {split!r}")
        self.rows = load_dataset("earthreason", config, split=SPLITS[split], **options)
        self.side, self.transforms = side, transforms

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample with the first of its questions."""
        row = sample_of_row(self.rows[index])
        mask = row.mask.astype(np.int64)
        if row.ignore is not None:
            mask[row.ignore] = IGNORED
        image = rgb_tensor(row.image)
        if self.side is not None:
            grid = Grid("letterbox", self.side)
            image = letterbox_image(row.image, self.side)
            placed = {value: place_on_grid(mask == value, grid) for value in (1, IGNORED)}
            mask = placed[1].astype(np.int64)
            mask[placed[IGNORED]] = IGNORED
        sample = {
            "image": image.float(),
            "mask": torch.from_numpy(mask),
            "question": row.questions[0],
            "answer": row.answers[0] if row.answers else "",
            "sample_id": row.sample_id,
        }
        return sample if self.transforms is None else self.transforms(sample)

    def plot(self, sample: dict[str, Any], show_titles: bool = True, suptitle: str | None = None) -> Any:
        """Draw the image, the mask and, where the sample has one, the `prediction`, as a figure of matplotlib."""
        from matplotlib import pyplot as plt

        panels = {"image": sample["image"].permute(1, 2, 0).byte().numpy(), "mask": sample["mask"].numpy() == 1}
        if "prediction" in sample:
            panels["prediction"] = sample["prediction"].numpy() == 1
        figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 4.4))
        for axis, (title, pixels) in zip(np.atleast_1d(axes), panels.items(), strict=True):
            axis.imshow(pixels, **({} if title == "image" else {"cmap": "gray", "vmin": 0, "vmax": 1}))
            axis.axis("off")
            if show_titles:
                axis.set_title(title)
        figure.suptitle(sample["question"] if suptitle is None else suptitle, wrap=True, parse_math=False)
        return figure


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack images and masks of one size, and collect the texts in lists."""
    batch = {key: [sample[key] for sample in samples] for key in samples[0]}
    return {**batch, "image": torch.stack(batch["image"]), "mask": torch.stack(batch["mask"])}


class EarthReasonDataModule(NonGeoDataModule):
    """The three splits, letterboxed to one size; images are divided by 255 on their way to the model.

    `batch["question"]` and `batch["sample_id"]` pass the augmentations untouched. Scores of a square canvas are not
    the benchmark's: write predictions at the images' own sizes and give them to `earthreason.evaluate`.
    """

    def __init__(self, batch_size: int = 8, num_workers: int = 0, side: int = 512, **kwargs: Any) -> None:
        """Set the sizes.

        Args:
            batch_size: number of samples in a batch.
            num_workers: number of processes that load.
            side: side of the canvas in pixels.
            **kwargs: further arguments of `EarthReason`, such as `config`.
        """
        super().__init__(EarthReason, batch_size, num_workers, side=side, **kwargs)
        self.collate_fn = collate

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augment the tensors; kornia takes nothing else."""
        tensors = {key: value for key, value in batch.items() if isinstance(value, Tensor)}
        return {**batch, **super().on_after_batch_transfer(tensors, dataloader_idx)}
