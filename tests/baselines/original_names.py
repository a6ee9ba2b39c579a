"""Names of the original files of SAM and Mask2Former, made from those that transformers writes."""

import re

import numpy as np

ORIGINAL = (
    (r"vision_encoder\.layers\.(\d+)\.layer_norm", r"image_encoder.blocks.\1.norm"),
    (r"vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"vision_encoder\.", "image_encoder."),
    (r"mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"(.*_(?:mlps\.\d|head)\.)layers\.0\.", r"\1layers.1."),
    (r"(.*_(?:mlps\.\d|head)\.)proj_in\.", r"\1layers.0."),
    (r"(.*_(?:mlps\.\d|head)\.)proj_out\.", r"\1layers.2."),
    (r"(.*transformer\.layers\.\d\.)layer_norm", r"\1norm"),
    (r"(.*)layer_norm_final_attn", r"\1norm_final_attn"),
    (r"shared_image_embedding\.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
)
"""Names of transformers' SAM and of the original file, from shared/spec/baselines.md, section 8.5."""


def original_name(name):
    for pattern, replacement in ORIGINAL:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    return name


def detectron2_name(name):
    """Name in detectron2's pickle of a tensor of transformers' file, from shared/spec/baselines.md, section 8.3."""
    for pattern, replacement in (
        (r"model\.pixel_level_module\.encoder\.embeddings\.patch_embeddings\.projection", "backbone.patch_embed.proj"),
        (r"model\.pixel_level_module\.encoder\.embeddings\.norm", "backbone.patch_embed.norm"),
        (r"(.*)layernorm_before", r"\1norm1"),
        (r"(.*)layernorm_after", r"\1norm2"),
        (r"(.*)attention\.output\.dense", r"\1attn.proj"),
        (r"(.*)attention\.self\.relative", r"\1attn.relative"),
        (r"(.*)intermediate\.dense", r"\1mlp.fc1"),
        (r"(.*)(?<!attention\.)output\.dense", r"\1mlp.fc2"),
        (r"(.*)hidden_states_norms\.stage1", "backbone.norm0"),
        (r"(.*)hidden_states_norms\.stage2", "backbone.norm1"),
        (r"(.*)hidden_states_norms\.stage3", "backbone.norm2"),
        (r"(.*)hidden_states_norms\.stage4", "backbone.norm3"),
        (r"model\.pixel_level_module\.encoder\.encoder\.", "backbone."),
        (r"model\.pixel_level_module\.decoder\.(adapter_1|layer_1)\.0", r"sem_seg_head.pixel_decoder.\1"),
        (r"model\.pixel_level_module\.decoder\.(adapter_1|layer_1)\.1", r"sem_seg_head.pixel_decoder.\1.norm"),
        (r"model\.pixel_level_module\.decoder\.mask_projection", "sem_seg_head.pixel_decoder.mask_features"),
        (r"model\.pixel_level_module\.decoder\.input_projections", "sem_seg_head.pixel_decoder.input_proj"),
        (r"model\.pixel_level_module\.decoder\.level_embed", "sem_seg_head.pixel_decoder.transformer.level_embed"),
        (r"(.*decoder\.encoder\.layers\.\d\.)self_attn_layer_norm", r"\1norm1"),
        (r"(.*decoder\.encoder\.layers\.\d\.)final_layer_norm", r"\1norm2"),
        (r"(.*decoder\.encoder\.layers\.\d\.)fc", r"\1linear"),
        (r"model\.pixel_level_module\.decoder\.encoder\.", "sem_seg_head.pixel_decoder.transformer.encoder."),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.self_attn_layer_norm",
            r"sem_seg_head.predictor.transformer_self_attention_layers.\1.norm",
        ),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.cross_attn_layer_norm",
            r"sem_seg_head.predictor.transformer_cross_attention_layers.\1.norm",
        ),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.final_layer_norm",
            r"sem_seg_head.predictor.transformer_ffn_layers.\1.norm",
        ),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.fc(\d)",
            r"sem_seg_head.predictor.transformer_ffn_layers.\1.linear\2",
        ),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.cross_attn",
            r"sem_seg_head.predictor.transformer_cross_attention_layers.\1.multihead_attn",
        ),
        (
            r"model\.transformer_module\.decoder\.layers\.(\d)\.self_attn",
            r"sem_seg_head.predictor.transformer_self_attention_layers.\1.self_attn",
        ),
        (r"model\.transformer_module\.decoder\.layernorm", "sem_seg_head.predictor.decoder_norm"),
        (
            r"model\.transformer_module\.decoder\.mask_predictor\.mask_embedder\.(\d)\.0",
            r"sem_seg_head.predictor.mask_embed.layers.\1",
        ),
        (r"model\.transformer_module\.level_embed", "sem_seg_head.predictor.level_embed"),
        (r"model\.transformer_module\.queries_embedder", "sem_seg_head.predictor.query_embed"),
        (r"model\.transformer_module\.queries_features", "sem_seg_head.predictor.query_feat"),
        (r"class_predictor", "sem_seg_head.predictor.class_embed"),
        (r"criterion", "criterion"),
    ):
        name = re.sub(f"^{pattern}", replacement, name)
    return name


def as_pickled(state):
    """Arrays of transformers' file as detectron2 names and joins them."""
    arrays, apart = {}, {}
    for name, tensor in state.items():
        if name.endswith(("swin.layernorm.weight", "swin.layernorm.bias")):
            continue
        if part := re.fullmatch(r"(.*)attention\.self\.(query|key|value)\.(\w+)", name):
            apart.setdefault((f"{part[1]}attn.qkv.{part[3]}"), {})[part[2][0]] = tensor
        elif part := re.fullmatch(r"(.*transformer_module.*self_attn)\.([qkv])_proj\.(\w+)", name):
            apart.setdefault(f"{part[1]}.in_proj_{part[3]}", {})[part[2]] = tensor
        else:
            arrays[detectron2_name(name)] = tensor.numpy()
    for name, three in apart.items():
        arrays[detectron2_name(name)] = np.concatenate([three[which].numpy() for which in "qkv"])
    arrays["backbone.layers.0.blocks.0.attn.relative_position_index"] = np.zeros((16, 16), np.int64)
    return arrays
