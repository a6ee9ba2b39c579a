"""Hyper-parameters of SegEarth-R1; the defaults are those of the published models."""

from __future__ import annotations

from typing import Any, Literal

from transformers import AutoConfig, PhiConfig, PreTrainedConfig

from ..common.pixels import PIXEL_MEAN, PIXEL_STD
from ..common.prompt import Task
from ..common.resolution import GroundResolution, known_range

PAD_TOKEN_ID, SEG_TOKEN_ID, END_TOKEN_ID = 50295, 50296, 50256
VOCABULARY = 50297


def phi_1_5_config() -> PhiConfig:
    """Configure Phi-1.5 with the vocabulary of the published models."""
    return PhiConfig(
        vocab_size=VOCABULARY,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=24,
        num_attention_heads=32,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        pad_token_id=PAD_TOKEN_ID,
        bos_token_id=END_TOKEN_ID,
        eos_token_id=END_TOKEN_ID,
    )


class SegEarthR1Config(PreTrainedConfig):
    """Configuration of `SegEarthR1Model`.

    Args:
        text_config: configuration of the language model, any causal one from transformers; Phi-1.5 by default.
        image_size: side of the square canvas in pixels, a multiple of 128.
        vision_dim: channels after the patch embedding; doubled by each stage.
        vision_depths, vision_heads: Swin blocks and attention heads of the four stages.
        window_size: side of an attention window in patches.
        drop_path_rate: stochastic depth of the last Swin block in training; falls linearly to 0 at the first block.
        connector_strides: strides of the two convolutions that compress the coarsest features into visual tokens. On
            a 1024 px canvas, (2, 2) gives 64 tokens and (2, 1) gives 256.
        description_dim, description_heads, description_head_dim: width, heads and head width of the D-Projector.
        decoder_dim, decoder_heads: width and attention heads of both decoders; the query has this width.
        pixel_decoder_layers, pixel_decoder_ffn, sampling_points: layers, MLP width and points of the pixel decoder.
        mask_decoder_layers, mask_decoder_ffn: layers and MLP width of the mask decoder.
        seg_token_id: id of `[SEG]`, which ends the question and the answer.
        query: source of the mask decoder's query: the mean over the `description`, or the state of its `seg` token
            alone, as in LISA.
        d_projector: whether the query is refined by attending to the image.
        no_target_head: whether an extra output predicts if there is a target; the published models have none.
        no_target_threshold: no-target score above which the answer is "no target"; chosen on validation.
        ground_resolution: finest and coarsest GSD of the canvas in training, metres per pixel; None if unknown.
        encoder: image encoder instead of Swin, see `baselines.common.encoders`; the published models have none.
        encoder_channels: channels of its four feature maps.
        image_mean, image_std: statistics of the pixels that the image encoder expects, from 0 to 255.
        task: kind of question that the model was trained for, which sets the wording of the prompt.
    """

    model_type = "segearth_r1"
    sub_configs = {"text_config": AutoConfig}  # noqa: RUF012 (transformers reads it from the class)

    def __init__(
        self,
        text_config: PreTrainedConfig | dict[str, Any] | None = None,
        image_size: int = 1024,
        vision_dim: int = 128,
        vision_depths: tuple[int, ...] = (2, 2, 18, 2),
        vision_heads: tuple[int, ...] = (4, 8, 16, 32),
        window_size: int = 12,
        drop_path_rate: float = 0.3,
        connector_strides: tuple[int, int] = (2, 2),
        description_dim: int = 512,
        description_heads: int = 8,
        description_head_dim: int = 64,
        decoder_dim: int = 256,
        decoder_heads: int = 8,
        pixel_decoder_layers: int = 6,
        pixel_decoder_ffn: int = 1024,
        sampling_points: int = 4,
        mask_decoder_layers: int = 9,
        mask_decoder_ffn: int = 2048,
        seg_token_id: int = SEG_TOKEN_ID,
        query: Literal["description", "seg"] = "description",
        d_projector: bool = True,
        no_target_head: bool = False,
        no_target_threshold: float = 0.5,
        ground_resolution: GroundResolution | None = None,
        encoder: dict[str, Any] | None = None,
        encoder_channels: tuple[int, ...] | None = None,
        image_mean: tuple[float, ...] = PIXEL_MEAN,
        image_std: tuple[float, ...] = PIXEL_STD,
        task: Task = "reasoning",
        **kwargs: Any,
    ) -> None:
        if text_config is None:
            text_config = phi_1_5_config()
        elif isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**text_config)
        self.text_config = text_config
        self.image_size = image_size
        self.vision_dim = vision_dim
        self.vision_depths = tuple(vision_depths)
        self.vision_heads = tuple(vision_heads)
        self.window_size = window_size
        self.drop_path_rate = drop_path_rate
        self.connector_strides = tuple(connector_strides)
        self.description_dim = description_dim
        self.description_heads = description_heads
        self.description_head_dim = description_head_dim
        self.decoder_dim = decoder_dim
        self.decoder_heads = decoder_heads
        self.pixel_decoder_layers = pixel_decoder_layers
        self.pixel_decoder_ffn = pixel_decoder_ffn
        self.sampling_points = sampling_points
        self.mask_decoder_layers = mask_decoder_layers
        self.mask_decoder_ffn = mask_decoder_ffn
        self.seg_token_id = seg_token_id
        self.query = query
        self.d_projector = d_projector
        self.no_target_head = no_target_head
        self.no_target_threshold = no_target_threshold
        self.ground_resolution = known_range(ground_resolution)
        self.encoder = encoder
        self.encoder_channels = None if encoder_channels is None else tuple(encoder_channels)
        self.image_mean, self.image_std = tuple(image_mean), tuple(image_std)
        self.task = task
        if image_size % 128:
            raise ValueError(f"image_size must be a multiple of 128 (four stages, then two strides), got {image_size}")
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    @property
    def vision_channels(self) -> tuple[int, ...]:
        """Channels of the four feature maps, fine to coarse."""
        if self.encoder_channels is not None:
            return self.encoder_channels
        return tuple(self.vision_dim * 2**stage for stage in range(len(self.vision_depths)))

    @property
    def connector_sides(self) -> tuple[int, int]:
        """Sides of the feature map after each convolution of the connector."""
        coarsest = self.image_size // 32
        first = coarsest // self.connector_strides[0]
        return first, first // self.connector_strides[1]

    @property
    def visual_tokens(self) -> int:
        """Number of tokens per image in the language model's sequence."""
        return self.connector_sides[1] ** 2
