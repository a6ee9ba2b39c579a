"""Small pretrained parts in the files that transformers writes, for tests that assemble models from them."""

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    PhiConfig,
    PhiForCausalLM,
    SamConfig,
    SamModel,
    SwinConfig,
)

from baselines.common.languages import byte_tokenizer

WORDS = 257
"""Tokens of the byte tokenizer."""


def randomise(model, seed):
    """Give a model weights of a size that tells them apart: some parts of transformers start at zero or 1e-10."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def save_language(folder, kind="llama", **changes):
    """A causal language model of 32 dimensions and its tokenizer."""
    settings = {
        "vocab_size": WORDS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 1400,
        "bos_token_id": 256,
        "eos_token_id": 256,
        **changes,
    }
    made = {"llama": (LlamaConfig, LlamaForCausalLM), "phi": (PhiConfig, PhiForCausalLM)}[kind]
    model = randomise(made[1](made[0](**settings)), 1)
    model.save_pretrained(folder, max_shard_size="20KB")
    byte_tokenizer().save_pretrained(folder)
    return model


def save_clip(folder, side=28, layers=3):
    config = CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=side,
        patch_size=14,
    )
    model = randomise(CLIPVisionModel(config), 2)
    model.save_pretrained(folder)
    return model


def sam_config():
    return SamConfig(
        vision_config={
            "hidden_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "mlp_dim": 48,
            "image_size": 128,
            "patch_size": 16,
            "output_channels": 16,
            "num_pos_feats": 8,
            "window_size": 3,
            "global_attn_indexes": [2],
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 128, "image_embedding_size": 8},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 40, "num_attention_heads": 8, "iou_head_hidden_dim": 24},
    )


def save_sam(folder):
    model = randomise(SamModel(sam_config()), 3)
    model.save_pretrained(folder)
    return model


def save_mask2former(folder):
    swin = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 2, 1],
        num_heads=[1, 2, 2, 4],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=48,
        dim_feedforward=40,
        encoder_layers=2,
        decoder_layers=4,
        num_attention_heads=4,
        num_queries=10,
    )
    model = randomise(Mask2FormerForUniversalSegmentation(config), 4)
    model.save_pretrained(folder)
    return model
