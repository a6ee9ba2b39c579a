"""A vision-language model and Segment Anything as a Predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import SamImageProcessorPil, SamModel, SamProcessor

from baselines.common.devices import DTYPES, find_device
from baselines.registry import PredictorOptions
from baselines.vlm_sam.grounding import SCALE, Grounding, ask_where
from earthreason.errors import EarthReasonError
from earthreason.questions.client import ClientConfig

DEFAULT_SAM = "facebook/sam-vit-base"


class VlmSamPredictor:
    """Asks a vision-language model where the answer is, and SAM for its mask."""

    def __init__(self, sam: SamModel, processor: SamProcessor, vlm: str, config: ClientConfig) -> None:
        """Wrap a SAM.

        Args:
            sam: SAM on its device.
            processor: processor of SAM.
            vlm: name of the vision-language model on the server.
            config: settings of the connection.
        """
        self.sam, self.processor, self.vlm, self.config = sam.eval(), processor, vlm, config

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Return one mask (height, width) bool per question, None if nothing is found or the answer is unusable."""
        replies = ask_where(images, questions, self.vlm, self.config)
        return [
            None if where is None or not where.found else self.draw(image, where)
            for image, where in zip(images, replies, strict=True)
        ]

    @torch.inference_mode()
    def draw(self, image: Image.Image, where: Grounding) -> np.ndarray:
        """Return SAM's best mask for a box and points: (height, width) bool."""
        scale = np.array([image.width, image.height]) / SCALE
        prompts: dict[str, Any] = {}
        if where.box is not None:
            prompts["input_boxes"] = [[(np.array(where.box) * np.tile(scale, 2)).tolist()]]
        if where.points:
            prompts["input_points"] = [[(np.array(point) * scale).tolist() for point in where.points]]
        inputs = self.processor(image.convert("RGB"), return_tensors="pt", **prompts)
        sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
        tensors = {
            name: tensor.to(self.sam.device, self.sam.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        output = self.sam(**tensors, multimask_output=True)
        best = int(output.iou_scores[0, 0].argmax())
        masks = self.processor.image_processor.post_process_masks(output.pred_masks.float().cpu(), *sizes)
        mask: np.ndarray = masks[0][0, best].numpy().astype(bool)
        return mask


def build(options: PredictorOptions) -> VlmSamPredictor:
    """Build the predictor for the model registry.

    Raises:
        EarthReasonError: `vlm` is not set, SAM cannot be loaded, or the device is not available.
    """
    if options.vlm is None:
        raise EarthReasonError("vlm_sam needs --vlm: the name of a vision model at --base-url (default: OpenAI)")
    checkpoint, device = options.checkpoint or DEFAULT_SAM, find_device(options.device)
    try:
        sam = SamModel.from_pretrained(checkpoint, dtype=DTYPES[options.dtype])
        processor = SamProcessor(SamImageProcessorPil.from_pretrained(checkpoint))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise EarthReasonError(f"{checkpoint}: no SAM can be loaded: {reason}; give a folder as --checkpoint") from None
    config = ClientConfig(base_url=options.base_url, concurrency=options.batch_size)
    return VlmSamPredictor(sam.to(device), processor, options.vlm, config)  # type: ignore[arg-type]
