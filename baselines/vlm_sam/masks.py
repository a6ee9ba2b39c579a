"""Masks of boxes and points: from SAM, from SAM 2, or the boxes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, Sam2Model, SamImageProcessorPil, SamModel
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from earthreason.errors import EarthReasonError
from earthreason.grounding.answers import Target
from earthreason.grounding.drawing import fill_targets

from ..common.devices import DTYPES, find_device


class MaskMaker(Protocol):
    """Something that makes a mask of regions; `name` tells readers of the predictions what."""

    name: str

    def draw(self, image: Image.Image, targets: Sequence[Target]) -> np.ndarray:
        """Return the union of the regions' masks, (height, width) bool.

        Args:
            image: image.
            targets: at least one region, in fractions of the image.

        Raises:
            ValueError: a region cannot be drawn.
        """
        ...


class Boxes:
    """The boxes themselves as masks."""

    name = "boxes"

    def draw(self, image: Image.Image, targets: Sequence[Target]) -> np.ndarray:
        """Return the union of the boxes, (height, width) bool; see `MaskMaker`."""
        if any(target.box is None for target in targets):
            raise ValueError("a point without a box has no mask where there is no SAM")
        return fill_targets(targets, image.width, image.height)


class Sam:
    """Segment Anything through transformers."""

    name = "SAM"

    def __init__(self, model: SamModel, processor: SamImageProcessorPil) -> None:
        """Wrap a model on its device, and the processor of its images."""
        self.model, self.processor = model.eval(), processor

    @torch.inference_mode()
    def draw(self, image: Image.Image, targets: Sequence[Target]) -> np.ndarray:
        """Return the union of SAM's best masks, (height, width) bool; see `MaskMaker`."""
        inputs = self.processor(image.convert("RGB"), return_tensors="pt")
        sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        height, width = sizes[1][0].tolist()  # SAM pads the resized image below and to the right
        features = self.model.get_image_embeddings(inputs["pixel_values"].to(self.model.device, self.model.dtype))
        union = np.zeros((image.height, image.width), bool)
        for target in targets:
            output = self.model(image_embeddings=features, **_prompts(target, width, height, self.model))
            masks = self.processor.post_process_masks(output.pred_masks.float().cpu(), *sizes)
            union |= masks[0][0, _best(output)].numpy().astype(bool)
        return union


class Sam2:
    """Segment Anything 2 through transformers, whose own processor needs torchvision."""

    name = "SAM 2"

    def __init__(self, model: Sam2Model) -> None:
        """Wrap a model on its device."""
        self.model = model.eval()
        config: Any = model.config.prompt_encoder_config
        self.side = int(config.image_size)

    @torch.inference_mode()
    def draw(self, image: Image.Image, targets: Sequence[Target]) -> np.ndarray:
        """Return the union of SAM 2's best masks, (height, width) bool; see `MaskMaker`."""
        features = self.model.get_image_embeddings(self.pixels(image).to(self.model.device, self.model.dtype))
        union = np.zeros((image.height, image.width), bool)
        for target in targets:
            output = self.model(image_embeddings=features, **_prompts(target, self.side, self.side, self.model))
            logits = output.pred_masks[:, 0, _best(output)].float().cpu()[:, None]  # (1, 1, h, w)
            logits = F.interpolate(logits, (image.height, image.width), mode="bilinear", align_corners=False)
            union |= (logits[0, 0] > 0).numpy()
        return union

    def pixels(self, image: Image.Image) -> Tensor:
        """Return an image as SAM 2 sees it, (1, 3, side, side): stretched to a square, with ImageNet's mean and std."""
        square = image.convert("RGB").resize((self.side, self.side), Image.Resampling.BILINEAR)
        scaled = (np.asarray(square, np.float32) / 255 - IMAGENET_DEFAULT_MEAN) / IMAGENET_DEFAULT_STD
        return torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)[None]


def _prompts(target: Target, width: int, height: int, model: Any) -> dict[str, Tensor]:
    """Return a region as inputs of a SAM that sees the image with this width and height, pixels."""
    size = torch.tensor([width, height])

    def pixels(values: Any) -> Tensor:
        return (torch.tensor(values).reshape(-1, 2) * size).to(model.device, model.dtype)

    prompts: dict[str, Tensor] = {}
    if target.box is not None:
        prompts["input_boxes"] = pixels(target.box).reshape(1, 1, 4)
    if target.points:
        prompts["input_points"] = pixels(target.points).reshape(1, 1, -1, 2)
        prompts["input_labels"] = torch.ones(prompts["input_points"].shape[:3], dtype=torch.int, device=model.device)
    return prompts


def _best(output: Any) -> int:
    return int(output.iou_scores[0, 0].argmax())


def load_mask_maker(checkpoint: str | None, device: str, dtype: str) -> MaskMaker:
    """Load SAM or SAM 2, whichever the checkpoint is; boxes if there is none.

    Raises:
        EarthReasonError: the checkpoint cannot be loaded, or the device is not available.
    """
    if checkpoint is None:
        return Boxes()
    place = find_device(device)
    try:
        # The published SAM 2 checkpoints are those of the video model, which contains the model of images.
        if AutoConfig.from_pretrained(checkpoint).model_type in ("sam2", "sam2_video"):
            return Sam2(Sam2Model.from_pretrained(checkpoint, dtype=DTYPES[dtype]).to(place))  # type: ignore[arg-type]
        model = SamModel.from_pretrained(checkpoint, dtype=DTYPES[dtype])
        return Sam(model.to(place), SamImageProcessorPil.from_pretrained(checkpoint))  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise EarthReasonError(
            f"{checkpoint}: no SAM can be loaded: {reason}; give a folder as --checkpoint, or leave it out for "
            "masks of the boxes"
        ) from None
