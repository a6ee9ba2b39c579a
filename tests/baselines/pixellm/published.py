"""What PixelLM's public code computes, from its published tensors, CLIP, LLaMA and SAM's transformer of transformers.

Facts: spec/baselines.md §2 and github.com/MaverickRen/PixelLM, commit ebf07922.
"""

import copy

import numpy as np
import torch
from torch.nn import functional as F
from transformers import SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamTwoWayTransformer

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
DECODER = "model.mask_decoder"


def stretch(old, new):
    """The (new, old) matrix of a bilinear resize that does not align corners."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(np.floor(centres).astype(int), max(old - 2, 0))
    matrix = np.zeros((new, old))
    matrix[np.arange(new), low] = 1 - (centres - low)
    matrix[np.arange(new), np.minimum(low + 1, old - 1)] += centres - low
    return torch.from_numpy(matrix).float()


def resize(maps, side):
    """Resize maps (..., n, n) to (..., side, side)."""
    matrix = stretch(maps.shape[-1], side)
    return matrix @ maps @ matrix.T


def shifted_table(table, side):
    """The position table (1 + n^2, C), resized as if its last row were the class token's."""
    n = round((len(table) - 1) ** 0.5)
    grid = resize(table[:-1].T.reshape(-1, n, n), side)
    return torch.cat([grid.reshape(len(grid), -1).T, table[-1:]])


def linear(x, tensors, name):
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def norm2d(x, tensors, name):
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
    return x * tensors[f"{name}.weight"][:, None, None] + tensors[f"{name}.bias"][:, None, None]


def clip_states(clip, canvas, inside):
    """Hidden states (layers, N, C) of the padded canvas (S, S, 3), without class token."""
    side, patch = len(canvas), clip.config.patch_size
    pixels = np.where(inside[..., None], (canvas - MEAN) / STD, 0.0)
    larger = copy.deepcopy(clip.config)
    larger.image_size, larger._attn_implementation = side, "eager"
    tower = type(clip)(larger).eval()
    weights = clip.state_dict()
    name = "embeddings.position_embedding.weight"
    tower.load_state_dict({**weights, name: shifted_table(weights[name], side // patch)})
    patches = inside[::patch, ::patch].reshape(-1)  # as nearest-neighbour resizing reads it
    seen = torch.from_numpy(np.concatenate([[True], patches]))
    hidden = torch.zeros(1, 1, len(seen), len(seen)).masked_fill(~seen, torch.finfo(torch.float32).min)
    pixels = torch.from_numpy(pixels).float().permute(2, 0, 1)[None]
    found = tower(pixels, attention_mask=hidden, output_hidden_states=True).hidden_states
    return torch.cat(found)[:, 1:]


def positions(matrix, side):
    """SAM's code of each position of a map: (1, D, side, side)."""
    y, x = np.mgrid[:side, :side]
    places = torch.from_numpy(np.stack([x, y], -1) + 0.5).float() / side
    angle = 2 * np.pi * ((2 * places - 1) @ matrix)
    return torch.cat([angle.sin(), angle.cos()], -1).permute(2, 0, 1)[None]


def two_way(tensors, level, width, ffn, heads):
    config = SamMaskDecoderConfig(hidden_size=width, mlp_dim=ffn, num_attention_heads=heads)
    config._attn_implementation = "eager"
    transformer = SamTwoWayTransformer(config).eval()
    prefix = f"{DECODER}.transformer.{level}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    transformer.load_state_dict({name.replace("norm", "layer_norm"): tensor for name, tensor in own.items()})
    return transformer


def upsampled(x, tensors, name):
    x = F.conv_transpose2d(x, tensors[f"{name}.0.weight"], tensors[f"{name}.0.bias"], stride=2)
    return F.gelu(norm2d(x, tensors, f"{name}.1"))


def decode(tensors, queries, maps, ffn, heads):
    """Logits (4 h, 4 w) of one target from queries (2, D) and maps (2, D, h, w), the deeper one first."""
    total, previous, side = 0, None, 4 * maps.shape[-1]
    dense = tensors["model.prompt_encoder.no_mask_embed.weight"].reshape(1, -1, 1, 1)
    codes = ("model.prompt_encoder.pe_layer", f"{DECODER}.pe1")
    for level in range(2):
        learned = [tensors[f"{DECODER}.{name}.weight"] for name in ("iou_token", "mask_tokens")]
        tokens = torch.cat([*learned, queries[level : level + 1]]) + tensors[f"{DECODER}.level_embed.weight"][level]
        image = maps[level : level + 1]
        if previous is not None:
            image = upsampled(image, tensors, f"{DECODER}.upsample_2x") * (previous.sigmoid() + 1)
        image, width, n = image + dense, image.shape[1], image.shape[-1]
        attended, image = two_way(tensors, level, width, ffn, heads)(
            point_embeddings=tokens[None, None],
            image_embeddings=image,
            image_positional_embeddings=positions(tensors[f"{codes[level]}.positional_encoding_gaussian_matrix"], n),
            attention_similarity=None,
        )
        large = upsampled(image[:, 0].transpose(1, 2).reshape(1, width, n, n), tensors, f"{DECODER}.output_upscaling")
        masks = []
        for k in range(4):
            x = attended[0, 0, 1 + k]
            for layer in range(3):
                x = linear(x, tensors, f"{DECODER}.output_hypernetworks_mlps.{k}.layers.{layer}")
                x = x if layer == 2 else x.relu()
            masks.append((x[:, None, None] * large[0]).sum(0))
        previous = masks[0]
        total = total + resize(previous, side) / 2
    return total


def answer(tensors, clip, llama, canvas, inside, prompt, heads, ffn, language_side):
    """Logits of a question: `prompt` is (ids with -200 for each visual token, ids of the codebook)."""
    ids, codebook = prompt
    states = clip_states(clip, canvas, inside)
    deep, shallow = states[-2], states[-11]
    side = len(canvas) // clip.config.patch_size
    small = resize(deep.T.reshape(-1, side, side), language_side)
    small = small.reshape(len(small), -1).T

    def project(x, name):
        return linear(F.gelu(linear(x, tensors, f"model.{name}.0")), tensors, f"model.{name}.2")

    ids = torch.tensor(ids)
    words = llama.get_input_embeddings()(ids.clamp(min=0))
    words[ids == -200] = project(small, "mm_projector")
    attention = torch.ones(len(ids), dtype=torch.long)
    patches = inside[:: clip.config.patch_size, :: clip.config.patch_size]
    step = side // language_side
    attention[ids == -200] = torch.from_numpy(patches[::step, ::step].reshape(-1)).long()
    read = llama(inputs_embeds=words[None], attention_mask=attention[None], output_hidden_states=True)
    last = read.hidden_states[-1][0]
    chosen = last[[n for n in range(len(ids) - 1) if int(ids[n + 1]) in codebook]]  # (6, H)
    head = linear(linear(chosen, tensors, "model.text_hidden_fcs.0.0").relu(), tensors, "model.text_hidden_fcs.0.2")
    queries = (head.reshape(2, 3, -1) / 6).sum(1)
    maps = []
    for patches in (deep, shallow):
        x = project(patches, "out_mm_projector").T.reshape(1, -1, side, side)
        x = norm2d(F.conv2d(x, tensors["model.image_feature_neck.0.weight"]), tensors, "model.image_feature_neck.1")
        x = F.conv2d(x, tensors["model.image_feature_neck.2.weight"], padding=1)
        maps.append(norm2d(x, tensors, "model.image_feature_neck.3"))
    return decode(tensors, queries, torch.cat(maps), ffn, heads)
