"""A SAM with random weights that loads in no time."""

import torch
from transformers import SamConfig, SamImageProcessorPil, SamModel


def save_sam(folder):
    """Save the model and its processor."""
    small = {"hidden_size": 32, "num_attention_heads": 2, "mlp_dim": 32}
    vision = {"num_hidden_layers": 1, "image_size": 128, "output_channels": 32, "num_pos_feats": 16, "window_size": 4}
    config = SamConfig(
        vision_config={**small, **vision, "global_attn_indexes": [0]},
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "image_embedding_size": 8},
        mask_decoder_config={**small, "iou_head_hidden_dim": 32},
    )
    torch.manual_seed(0)
    SamModel(config).save_pretrained(folder)
    SamImageProcessorPil(
        size={"longest_edge": 128},
        pad_size={"height": 128, "width": 128},
        mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    ).save_pretrained(folder)
