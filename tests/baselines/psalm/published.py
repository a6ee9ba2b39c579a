"""Names and shapes of a published PSALM checkpoint, written from the classes of its public code, for any widths."""

from __future__ import annotations

from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Widths:
    """Sizes of the parts; the defaults are those of `EnmingZhang/PSALM`."""

    hidden: int = 2048
    text_layers: int = 24
    text_ffn: int = 8192
    vocabulary: int = 50297
    vision: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 12
    connector: int = 2048
    dim: int = 256
    samples: int = 96  # 8 heads, 3 levels, 4 points
    pixel_layers: int = 6
    pixel_ffn: int = 1024
    mask_layers: int = 9
    mask_ffn: int = 2048
    queries: int = 100


def affine(name: str, *shape: int) -> Shapes:
    """A layer with weight and bias."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def batch_norm(name: str, width: int) -> Shapes:
    running = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
    return {**affine(name, width), **running, f"{name}.num_batches_tracked": ()}


def published_shapes(w: Widths) -> Shapes:
    """All names and shapes, those that questions with one mask do not use included."""
    dim = w.dim
    return {
        **_language(w),
        **_swin(w),
        **_connector(w),
        "seg_query": (w.queries, w.hidden),
        **affine("seg_query_projector", dim, w.hidden),
        **affine("SEG_token_projector", dim, w.hidden),
        **affine("class_name_projector", dim, w.hidden),
        **affine("region_projector", dim, w.hidden),
        **_pixel_decoder(w),
        **_predictor(w),
    }


def _language(w: Widths) -> Shapes:
    shapes: Shapes = {
        "model.embed_tokens.weight": (w.vocabulary, w.hidden),
        "lm_head.weight": (w.vocabulary, w.hidden),
        **affine("model.final_layernorm", w.hidden),
    }
    for n in range(w.text_layers):
        layer = f"model.layers.{n}"
        shapes |= affine(f"{layer}.input_layernorm", w.hidden)
        shapes |= affine(f"{layer}.self_attn.query_key_value", 3 * w.hidden, w.hidden)
        shapes |= affine(f"{layer}.self_attn.dense", w.hidden, w.hidden)
        shapes |= affine(f"{layer}.mlp.fc1", w.text_ffn, w.hidden) | affine(f"{layer}.mlp.fc2", w.hidden, w.text_ffn)
    return shapes


def _swin(w: Widths) -> Shapes:
    tower = "model.vision_tower"
    shapes = affine(f"{tower}.patch_embed.proj", w.vision, 3, 4, 4) | affine(f"{tower}.patch_embed.norm", w.vision)
    for stage, (depth, heads) in enumerate(zip(w.depths, w.heads, strict=True)):
        width = w.vision * 2**stage
        shapes |= affine(f"{tower}.norm{stage}", width)
        if stage < len(w.depths) - 1:
            shapes |= affine(f"{tower}.layers.{stage}.downsample.norm", 4 * width)
            shapes[f"{tower}.layers.{stage}.downsample.reduction.weight"] = (2 * width, 4 * width)
        for n in range(depth):
            block = f"{tower}.layers.{stage}.blocks.{n}"
            shapes |= affine(f"{block}.norm1", width) | affine(f"{block}.norm2", width)
            shapes |= affine(f"{block}.attn.qkv", 3 * width, width) | affine(f"{block}.attn.proj", width, width)
            shapes |= affine(f"{block}.mlp.fc1", 4 * width, width) | affine(f"{block}.mlp.fc2", width, 4 * width)
            shapes[f"{block}.attn.relative_position_bias_table"] = ((2 * w.window - 1) ** 2, heads)
            shapes[f"{block}.attn.relative_position_index"] = (w.window**2, w.window**2)
    return shapes


def _connector(w: Widths) -> Shapes:
    channels, width, block = 8 * w.vision, w.connector, "model.mm_projector.layer1.0"
    return {
        f"{block}.conv1.weight": (width, channels, 3, 3),
        **batch_norm(f"{block}.bn1", width),
        f"{block}.conv2.weight": (width, width, 3, 3),
        **batch_norm(f"{block}.bn2", width),
        f"{block}.downsample.0.weight": (width, channels, 1, 1),
        **batch_norm(f"{block}.downsample.1", width),
        **affine("model.mm_projector.fc", w.hidden, width),
    }


def _pixel_decoder(w: Widths) -> Shapes:
    dim = w.dim
    shapes = {
        "pixel_decoder.transformer.level_embed": (3, dim),
        **affine("pixel_decoder.mask_features", dim, dim, 1, 1),
        **affine("pixel_decoder.adapter_1.0", dim, w.vision, 1, 1),
        **affine("pixel_decoder.adapter_1.1", dim),
        **affine("pixel_decoder.layer_1.0", dim, dim, 3, 3),
        **affine("pixel_decoder.layer_1.1", dim),
    }
    for level in range(3):  # res5 first
        shapes |= affine(f"pixel_decoder.input_proj.{level}.0", dim, w.vision * 2 ** (3 - level), 1, 1)
        shapes |= affine(f"pixel_decoder.input_proj.{level}.1", dim)
    for n in range(w.pixel_layers):
        layer = f"pixel_decoder.transformer.encoder.layers.{n}"
        shapes |= affine(f"{layer}.self_attn.sampling_offsets", 2 * w.samples, dim)
        shapes |= affine(f"{layer}.self_attn.attention_weights", w.samples, dim)
        shapes |= affine(f"{layer}.self_attn.value_proj", dim, dim)
        shapes |= affine(f"{layer}.self_attn.output_proj", dim, dim)
        shapes |= affine(f"{layer}.norm1", dim) | affine(f"{layer}.norm2", dim)
        shapes |= affine(f"{layer}.linear1", w.pixel_ffn, dim) | affine(f"{layer}.linear2", dim, w.pixel_ffn)
    return shapes


def _predictor(w: Widths) -> Shapes:
    dim = w.dim
    shapes = {
        **affine("predictor.decoder_norm", dim),
        "predictor.query_feat.weight": (w.queries, dim),
        "predictor.query_embed.weight": (w.queries, dim),
        "predictor.SEG_query_embed.weight": (w.queries + 1, dim),
        "predictor.level_embed.weight": (3, dim),
    }
    for name, depth in (("mask_embed", 3), ("SEG_proj", 2), ("CLASS_proj", 2), ("REGION_proj", 2)):
        for n in range(depth):
            shapes |= affine(f"predictor.{name}.layers.{n}", dim, dim)
    for n in range(w.mask_layers):
        kinds = (("self", "self_attn"), ("cross", "multihead_attn"))
        for kind, attention in kinds:
            layer = f"predictor.transformer_{kind}_attention_layers.{n}"
            shapes |= affine(f"{layer}.norm", dim) | affine(f"{layer}.{attention}.out_proj", dim, dim)
            shapes[f"{layer}.{attention}.in_proj_weight"] = (3 * dim, dim)
            shapes[f"{layer}.{attention}.in_proj_bias"] = (3 * dim,)
        layer = f"predictor.transformer_ffn_layers.{n}"
        shapes |= affine(f"{layer}.norm", dim)
        shapes |= affine(f"{layer}.linear1", w.mask_ffn, dim) | affine(f"{layer}.linear2", dim, w.mask_ffn)
    return shapes
