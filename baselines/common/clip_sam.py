"""Shared by the converters of LISA and PixelLM: loading CLIP beside the published files, and SAM's tensor names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import AutoConfig, CLIPVisionModel, PreTrainedConfig, PreTrainedTokenizerBase

from earthreason.errors import EarthReasonError

from .conversion import Report, Table, convert_tensors, save_checkpoint, shapes_of
from .predictor import MaskPredictor
from .processing import Processor
from .weights import find_weights, read_tensors

SAM_ENCODER: Table = (
    (r"blocks\.(\d+)\.norm([12])\.", r"layers.\1.layer_norm\2."),
    (r"blocks\.", "layers."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
)
SAM_TRANSFORMER: Table = (
    (r"layers\.(\d+)\.norm([1234])\.", r"layers.\1.layer_norm\2."),
    (r"norm_final_attn\.", "layer_norm_final_attn."),
)
SAM_MLP: Table = (
    (r"layers\.0\.", "proj_in."),
    (r"layers\.1\.", "layers.0."),
    (r"layers\.2\.", "proj_out."),
)

UNUSED_PROMPTS = r"prompt_encoder\.(point_embeddings|not_a_point_embed|mask_downscaling)\..*"
"""Parts of SAM's prompt encoder for points, boxes and masks, which neither model uses."""
UNUSED_BUFFERS = r".*rotary_emb\.inv_freq"
CLIP_WORDS = re.compile(r"text_model\..*|text_projection\..*|visual_projection\..*|logit_scale|.*position_ids")
"""Parts of a CLIP's files besides the image encoder."""


@dataclass(frozen=True)
class ClipParts:
    """A published folder and its CLIP.

    Attributes:
        source: published folder.
        text: keyword arguments of the language model's `LlamaConfig`.
        tower: CLIP's image encoder.
        tokenizer: tokenizer of the published folder.
    """

    source: Path
    text: dict[str, Any]
    tower: CLIPVisionModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, source: Path, clip: str | Path) -> ClipParts:
        """Load CLIP and the folder's configuration and tokenizer; the folder's weights are read by `convert`.

        Raises:
            EarthReasonError: one of them cannot be loaded.
        """
        find_weights(source)  # a folder that training left has no config.json either, but needs another remedy
        try:
            text = {**AutoConfig.from_pretrained(source).to_dict(), "model_type": "llama"}
            tower = CLIPVisionModel.from_pretrained(clip)
        except (OSError, ValueError) as error:
            raise EarthReasonError(f"{source} or {clip} cannot be loaded: {str(error).splitlines()[0]}") from None
        tokenizer = Processor.load_tokenizer(source)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token  # as the public code does after loading it
        return cls(source, text, tower, tokenizer)

    def ids(self, tokens: tuple[str, ...]) -> list[int]:
        """Return the ids of added tokens; -1 for a missing token, which the processor reports later."""
        vocabulary = self.tokenizer.get_vocab()
        return [vocabulary.get(token, -1) for token in tokens]

    def tower_weights(self, prefix: str) -> dict[str, Tensor]:
        """Return CLIP's weights under our names."""
        return {f"{prefix}.{name}": tensor for name, tensor in self.tower.state_dict().items()}

    def convert(
        self,
        name: str,
        predictor: type[MaskPredictor[Any]],
        config: PreTrainedConfig,
        given: Mapping[str, Tensor],
        translate: Callable[[str, Tensor], dict[str, Tensor]],
        unused: re.Pattern[str],
        target: Path,
        dtype: str,
    ) -> Report:
        """Fill the predictor's model from the folder's tensors and the `given` ones, and write it.

        Raises:
            EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
        """
        expected = {
            name: shape for name, shape in shapes_of(predictor.model_class, config).items() if name not in given
        }
        state, report = convert_tensors(read_tensors(self.source), expected, translate, unused)
        report.check(str(self.source), name)
        processor = predictor.processor_class.for_model(config, self.tokenizer)
        save_checkpoint(predictor.model_class, config, {**state, **given}, processor, target, dtype)
        return report
