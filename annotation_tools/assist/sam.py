"""SAM (Kirillov et al., 2023) and SAM 2 (Ravi et al., 2024) through transformers."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.installing import install_command
from earthreason.predictors import Saliency

from .prompts import Prompts
from .recent import Recent, pixels_key

FAMILIES = {"sam": ("SamModel", "SamProcessor"), "sam2": ("Sam2Model", "Sam2Processor")}
"""Classes of transformers, by the name on the command line."""
_TITLES = {"sam": "SAM", "sam2": "SAM 2"}
KEPT = 8
"""Embeddings kept; those of one picture take 4 MB (SAM) or 17 MB (SAM 2)."""
_COMPONENTS = 8


@dataclass(frozen=True)
class _Encoded:
    """A picture after the image encoder: embeddings, (height, width) of the picture and of its scaled copy."""

    embeddings: Any
    size: tuple[int, int]
    scaled: tuple[int, int] | None


class SegmentAnything:
    """SAM or SAM 2, prompted with clicks and boxes, or, without any, with the boxes of salient regions.

    A picture is encoded once, whatever is asked about it, as long as it is among the last `KEPT`.
    """

    def __init__(self, folder: str, device: str = "cpu", family: str = "sam") -> None:
        """Load weights in transformers format from a folder, or from the Hub if it is reachable.

        Raises:
            EarthReasonError: there are no weights, they are of another model, or torch or transformers is not
                installed.
        """
        model, processor = FAMILIES[family]
        try:
            import torch
            import transformers

            found = transformers.AutoConfig.from_pretrained(folder).model_type
            if found.removesuffix("_video") != family:
                raise EarthReasonError(f"{folder} has weights of {found}, not of {family}; use --model {found}")
            if family == "sam2" and find_spec("torchvision") is None:
                remedy = install_command("earthreason-annotation[sam2]")
                raise EarthReasonError(f"SAM 2 needs torchvision: {remedy}")
            self._torch = torch
            self._model = getattr(transformers, model).from_pretrained(folder).eval().to(device)
            self._processor = getattr(transformers, processor).from_pretrained(folder)
        except ImportError as error:
            remedy = install_command(
                "earthreason-annotation[assist]" if family == "sam" else "earthreason-annotation[sam2]"
            )
            raise EarthReasonError(f"{_TITLES[family]} needs {error.name}: {remedy}") from None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            if isinstance(error, EarthReasonError):
                raise
            reason = str(error).splitlines()[0]
            raise EarthReasonError(f"no {_TITLES[family]} weights at {folder} ({reason}); grabcut needs none") from None
        self.family, self._device = family, device
        self._start = Saliency()
        self._kept: Recent[_Encoded] = Recent(KEPT)

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        seeds = self._start.predict(images, questions)
        return [
            None if seed is None else self.segment_shown(image, Prompts(boxes=tuple(component_boxes(seed))))
            for image, seed in zip(images, seeds, strict=True)
        ]

    def segment_shown(self, image: Image.Image, prompts: Prompts) -> np.ndarray | None:
        """Mark what a person showed; return a (height, width) bool mask, or None if nothing is found.

        A single click on the target is ambiguous (a roof or the house), so of SAM's three masks the one that SAM
        expects to be best is taken; with a box or further clicks there is one mask.
        """
        if not prompts.show_a_target:
            return None
        colours = image.convert("RGB")
        encoded = self._kept.get(pixels_key(colours), lambda: self._encode(colours))
        mask = np.zeros(encoded.size, bool)
        for one in prompts.by_target():
            mask |= self._cut(encoded, one)
        return mask if mask.any() else None

    def _encode(self, image: Image.Image) -> _Encoded:
        inputs = self._processor(images=image, return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._device)
        with self._torch.inference_mode():
            embeddings = self._model.get_image_embeddings(pixels)
        scaled = inputs["reshaped_input_sizes"][0].tolist() if "reshaped_input_sizes" in inputs else None
        return _Encoded(embeddings, (image.height, image.width), scaled)

    def _cut(self, encoded: _Encoded, prompts: Prompts) -> np.ndarray:
        points = [[[[click.x, click.y] for click in prompts.clicks]]] if prompts.clicks else None
        labels = [[[int(click.positive) for click in prompts.clicks]]] if prompts.clicks else None
        boxes = [[list(prompts.boxes[0])]] if prompts.boxes else None
        asked = self._scale(encoded, points, labels, boxes)
        several = boxes is None and len(prompts.clicks) == 1
        with self._torch.inference_mode():
            outputs = self._model(
                image_embeddings=encoded.embeddings,
                multimask_output=several,
                **{name: tensor.to(self._device) for name, tensor in asked.items()},
            )
        best = int(outputs.iou_scores[0, 0].argmax()) if several else 0
        masks = self._whole(outputs.pred_masks[:, :, best : best + 1].cpu(), encoded)[0]  # (1, 1, height, width)
        return np.asarray(masks[0, 0].numpy(), bool)

    def _scale(self, encoded: _Encoded, points: Any, labels: Any, boxes: Any) -> dict[str, Any]:
        """Convert prompts in pixels of the picture to tensors in those of the model's canvas."""
        if encoded.scaled is None:
            prompts = {"input_points": points, "input_labels": labels, "input_boxes": boxes}
            given = self._processor(original_sizes=[list(encoded.size)], return_tensors="pt", **prompts)
            return {name: given[name] for name, value in prompts.items() if value is not None}
        # SamProcessor converts prompts only together with a picture, which it would scale again for every click.
        (height, width), (scaled_height, scaled_width) = encoded.size, encoded.scaled
        factors = np.array([scaled_width / width, scaled_height / height])
        tensor = self._torch.from_numpy
        made = {}
        if points is not None:
            made["input_points"] = tensor(np.array(points, float) * factors)  # (1, 1, clicks, 2)
            made["input_labels"] = tensor(np.array(labels))  # (1, 1, clicks)
        if boxes is not None:
            made["input_boxes"] = tensor(np.array(boxes, np.float32).astype(float) * np.tile(factors, 2))  # (1, 1, 4)
        return made

    def _whole(self, masks: Any, encoded: _Encoded) -> Any:
        sizes = [list(encoded.size)]
        if encoded.scaled is None:
            return self._processor.post_process_masks(masks, sizes)
        return self._processor.post_process_masks(masks, sizes, [list(encoded.scaled)])


def component_boxes(mask: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of the largest connected components of a (height, width) bool mask."""
    from skimage.measure import label, regionprops

    parts = sorted(regionprops(label(mask)), key=lambda part: -part.area)[:_COMPONENTS]
    return [(float(x1), float(y1), float(x2), float(y2)) for y1, x1, y2, x2 in (part.bbox for part in parts)]
