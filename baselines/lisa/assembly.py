"""Build LISA from LLaVA (or a plain language model), CLIP and SAM, as the paper does before training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import CLIPVisionModel, SamConfig, SamModel

from earthreason.errors import DataFormatError, DataNotFoundError

from ..common.assembly import Assembly, Part, assemble_model, load_strictly
from ..common.clip_sam import CLIP_WORDS
from ..common.devices import DTYPES
from ..common.language_parts import load_language_part
from ..common.llava import IMAGE_MARKS
from ..common.weights import load_pickled
from ..registry import AssemblyOptions
from .conversion import SAM, UNUSED, our_name
from .modeling import LisaConfig
from .predictor import LisaPredictor, LisaProcessor

_NEW = re.compile(r"(projector|query)\..*")
_PLACES = {
    "vision_encoder.": "vision_tower.sam.",
    "shared_image_embedding.": "positions.",
    "prompt_encoder.no_mask_embed.": "no_mask.",
    "mask_decoder.": "mask_decoder.",
}
"""Modules of transformers' SAM, and ours; the others of its prompt encoder are not used."""


def assemble(options: AssemblyOptions) -> Assembly:
    """Assemble LISA for the model registry.

    Raises:
        EarthReasonError: a part cannot be loaded, or does not fit.
    """
    tokens, dtype = LisaProcessor.tokens, options.dtype
    language = load_language_part(str(options.llm), tokens, dtype, IMAGE_MARKS)
    clip, clip_extra = load_strictly(CLIPVisionModel, str(options.clip), dtype, CLIP_WORDS)
    sam, sam_config = load_sam(str(options.sam), dtype)
    connects = set(language.connector) == {"weight", "bias"}  # LISA's projector is linear, as that of the first LLaVA
    parts = [
        language.part,
        Part(
            "clip", str(options.clip), {f"vision_tower.clip.{n}": t for n, t in clip.state_dict().items()}, clip_extra
        ),
        sam,
    ]
    if connects:
        linear = {f"projector.{name}": tensor.to(DTYPES[dtype]) for name, tensor in language.connector.items()}
        parts.append(Part("llm (projector)", str(options.llm), linear))
    elif language.connector:
        language.part.left_out.extend(f"model.mm_projector.{name}" for name in language.connector)
    config = LisaConfig(
        text_config=language.config,
        clip_config=clip.config,
        sam_config=sam_config,
        seg_token_id=language.tokenizer.get_vocab()[tokens[0]],
        wording="published",
        trains_projector=not connects,
    )
    return assemble_model(
        LisaPredictor, config, parts, language.tokenizer, language.tokens, _NEW, options.target, dtype
    )


def load_sam(source: str, dtype: str) -> tuple[Part, SamConfig]:
    """Load SAM.

    Args:
        source: folder or Hub id in the format of transformers, or an original file such as `sam_vit_h_4b8939.pth`.
        dtype: name of the dtype.

    Returns:
        The part by our names, and its configuration.

    Raises:
        EarthReasonError: it cannot be loaded, or is no SAM.
    """
    if source.endswith(".pth"):
        return _load_original_sam(Path(source), dtype)
    model, extra = load_strictly(SamModel, source, dtype)
    tensors, left_out = {}, [*extra]
    for name, tensor in model.state_dict().items():
        place = next((place for place in _PLACES if name.startswith(place)), None)
        if place is None:
            left_out.append(name)
        else:
            tensors[_PLACES[place] + name.removeprefix(place)] = tensor
    return Part("sam", source, tensors, left_out), model.config


def _load_original_sam(path: Path, dtype: str) -> tuple[Part, SamConfig]:
    if not path.is_file():
        raise DataNotFoundError(f"there is no file {path}")
    content = load_pickled(path)
    tensors, left_out = {}, []
    for name, tensor in content.items():
        published = SAM + name
        if UNUSED.fullmatch(published):
            left_out.append(name)
        else:
            tensors[our_name(published)] = tensor.to(DTYPES[dtype])
    try:
        config = SamConfig(**_shape_of(content))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise DataFormatError(f"{path}: these are not the weights of a SAM ({error})") from None
    return Part("sam", str(path), tensors, left_out), config


def _shape_of(content: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration of an original SAM, whose file states none, from the shapes of its weights."""
    side, width = content["image_encoder.pos_embed"].shape[2:]
    patch = content["image_encoder.patch_embed.proj.weight"].shape[-1]
    reach = [
        content[f"image_encoder.blocks.{n}.attn.rel_pos_h"].shape
        for n in range(sum(name.endswith("attn.rel_pos_h") for name in content))
    ]  # (2 * side of the window - 1, width of a head) of each block
    windows = {(rows + 1) // 2 for rows, _ in reach} - {side}
    out = content["image_encoder.neck.0.weight"].shape[0]
    layer = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
    encoder = {
        "hidden_size": width,
        "num_hidden_layers": len(reach),
        "num_attention_heads": width // reach[0][1],
        "mlp_dim": content["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
        "image_size": int(side * patch),
        "patch_size": int(patch),
        "window_size": windows.pop() if windows else 0,
        "global_attn_indexes": [n for n, (rows, _) in enumerate(reach) if rows == 2 * side - 1],
        "output_channels": out,
        "num_pos_feats": out // 2,
    }
    decoder = {
        "hidden_size": out,
        "mlp_dim": content[layer].shape[0],
        "iou_head_hidden_dim": content["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
    }
    prompts = {"hidden_size": out, "image_size": int(side * patch), "image_embedding_size": int(side)}
    return {"vision_config": encoder, "prompt_encoder_config": prompts, "mask_decoder_config": decoder}
