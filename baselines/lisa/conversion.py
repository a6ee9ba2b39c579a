"""Published LISA checkpoints turned into ours (spec baselines §6: LLaMA, projector, head and SAM, but no CLIP)."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor
from transformers import AutoConfig, CLIPVisionModel

from baselines.common.conversion import (
    Report,
    Table,
    convert_tensors,
    read_tensors,
    rename,
    save_checkpoint,
    shapes_of,
)
from baselines.common.sam_names import SAM_ENCODER, SAM_MLP, SAM_TRANSFORMER
from baselines.lisa.learner import LisaProcessor
from baselines.lisa.modeling import LisaConfig, LisaModel
from earthreason.errors import EarthReasonError

_SAM = "model.visual_model."
UNUSED = re.compile(
    r"model\.visual_model\.prompt_encoder\.(point_embeddings|not_a_point_embed|mask_downscaling)\..*"
    r"|.*rotary_emb\.inv_freq"
)
"""Prompts that LISA does not give, and buffers."""
RENAMES: Table = (
    (r"model\.(embed_tokens|layers|norm)\.", r"language_model.\1."),
    (r"model\.mm_projector\.", "projector."),
    (r"model\.text_hidden_fcs\.0\.", "query."),
    (rf"{_SAM}prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", "positions.positional_embedding"),
    (rf"{_SAM}prompt_encoder\.no_mask_embed\.", "no_mask."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (rf"{_SAM}mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
)


def our_name(published: str) -> str:
    """Our name of a published tensor."""
    encoder, transformer = f"{_SAM}image_encoder.", f"{_SAM}mask_decoder.transformer."
    mlp = re.fullmatch(rf"{_SAM}mask_decoder\.(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.(.*)", published)
    if mlp:
        return f"mask_decoder.{mlp[1]}.{rename(mlp[2], SAM_MLP)}"
    if published.startswith(encoder):
        return "vision_tower.sam." + rename(published.removeprefix(encoder), SAM_ENCODER)
    if published.startswith(transformer):
        return "mask_decoder.transformer." + rename(published.removeprefix(transformer), SAM_TRANSFORMER)
    renamed = rename(published, RENAMES)
    return renamed.replace(_SAM, "", 1) if renamed.startswith(_SAM) else renamed


def convert_published(
    source: Path, clip: str | Path, target: Path, dtype: str = "float32", config: LisaConfig | None = None
) -> Report:
    """Turn a published folder (`xinlai/LISA-7B-v1`) and its CLIP (`openai/clip-vit-large-patch14`) into a checkpoint.

    Args:
        source: folder with shards, config.json and tokenizer.
        clip: folder or Hub id of the CLIP that LISA keeps out of its files.
        target: folder to write; must not exist.
        dtype: of the weights written.
        config: of the model, where SAM or CLIP are not of the published size.

    Raises:
        EarthReasonError: a name or shape is not as expected (all of them listed), or a file is missing.
    """
    try:
        text = AutoConfig.from_pretrained(source)
        tower = CLIPVisionModel.from_pretrained(clip)
        tokenizer = LisaProcessor.load_tokenizer(source)
    except (OSError, ValueError) as error:
        raise EarthReasonError(f"{source} or {clip} cannot be loaded: {str(error).splitlines()[0]}") from None
    seg = tokenizer.get_vocab().get(LisaProcessor.tokens[0], -1)
    config = config or LisaConfig(
        text_config={**text.to_dict(), "model_type": "llama"}, clip_config=tower.config, seg_token_id=seg
    )
    weights = {f"vision_tower.clip.{name}": tensor for name, tensor in tower.state_dict().items()}

    def translate(name: str, tensor: Tensor) -> dict[str, Tensor]:
        return {our_name(name): tensor}

    expected = {k: v for k, v in shapes_of(LisaModel, config).items() if k not in weights}
    state, report = convert_tensors(read_tensors(source), expected, translate, UNUSED)
    report.check(str(source), "LISA")
    processor = LisaProcessor.for_model(config, tokenizer)
    save_checkpoint(LisaModel, config, {**state, **weights}, processor, target, dtype)
    return report
