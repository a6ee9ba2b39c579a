"""Models of full size, on the meta device, have the shapes and numbers of parameters of their published parts."""

import math
import re

import pytest
from transformers import CLIPVisionConfig, LlamaConfig, PhiConfig

from baselines.common.conversion import shapes_of
from baselines.lisa.modeling import LisaConfig, LisaModel
from baselines.pixellm.modeling import PixelLMConfig, PixelLMModel
from baselines.psalm.modeling import PsalmConfig, PsalmModel

LLAMA = {
    "7B": (6_738_415_616, LlamaConfig(vocab_size=32_003)),
    "13B": (
        13_015_864_320,
        LlamaConfig(
            vocab_size=32_003,
            hidden_size=5_120,
            intermediate_size=13_824,
            num_hidden_layers=40,
            num_attention_heads=40,
            num_key_value_heads=40,
        ),
    ),
}
"""Published numbers of parameters of LLaMA with 32,000 tokens, whose output layer is a table of its own."""
CLIP_224, CLIP_336 = 303_179_776, 303_507_456
"""Parameters of the image encoders of openai/clip-vit-large-patch14 and -336, which has 577 - 257 more positions."""
SAM_VIT_H, SAM_PROMPTS = 641_090_608, 6_220
"""Parameters of SAM with ViT-H, and of its prompt encoder, of which LISA uses 256."""


def count(shapes, pattern=".*"):
    return sum(math.prod(shape) for name, shape in shapes.items() if re.fullmatch(pattern, name))


def linear(inputs, outputs):
    return inputs * outputs + outputs


@pytest.mark.parametrize("size", ["7B", "13B"])
def test_lisa(size):
    published, text = LLAMA[size]
    shapes = shapes_of(LisaModel, LisaConfig(text_config=text))
    hidden = text.hidden_size
    assert shapes["projector.weight"] == (hidden, 1024)
    assert shapes["query.0.weight"] == (hidden, hidden)
    assert shapes["query.2.weight"] == (256, hidden)
    assert shapes["vision_tower.sam.pos_embed"] == (1, 64, 64, 1280)
    assert shapes["vision_tower.sam.neck.conv2.weight"] == (256, 256, 3, 3)
    assert shapes["mask_decoder.mask_tokens.weight"] == (4, 256)
    assert count(shapes, r"(language_model|lm_head)\..*") == published + 2 * 3 * hidden
    assert count(shapes, r"vision_tower\.clip\..*") == CLIP_224
    sam = r"vision_tower\.sam\..*|mask_decoder\..*|no_mask\..*"
    assert count(shapes, sam) == SAM_VIT_H - SAM_PROMPTS + 256
    assert count(shapes, r"positions\..*") == 2 * 128  # a buffer in the original
    assert count(shapes, r"projector\..*") == linear(1024, hidden)
    assert count(shapes, r"query\..*") == linear(hidden, hidden) + linear(hidden, 256)


@pytest.mark.parametrize("size", ["7B", "13B"])
def test_pixellm(size):
    published, text = LLAMA[size]
    hidden = text.hidden_size
    clip = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        patch_size=14,
        image_size=336,
    )
    config = PixelLMConfig(text_config=text, clip_config=clip, projector_dim=2 * hidden)
    shapes = shapes_of(PixelLMModel, config)
    assert shapes["projector.0.weight"] == (2 * hidden, 1024)  # 8192 for 7B, 10240 for 13B
    assert shapes["mask_projector.2.weight"] == (hidden, 2 * hidden)
    assert shapes["neck.0.weight"] == (256, hidden, 1, 1)
    assert shapes["neck.2.weight"] == (256, 256, 3, 3)
    assert shapes["pixel_decoder.level_embed"] == (2, 256)
    assert shapes["pixel_decoder.transformers.1.layers.1.mlp.lin1.weight"] == (2048, 256)
    assert shapes["pixel_decoder.upscale.0.weight"] == (256, 32, 2, 2)
    assert config.visual_tokens == 256
    assert count(shapes, r"(language_model|lm_head)\..*") == published + 2 * 3 * hidden
    assert count(shapes, r"vision_tower\..*") == CLIP_336
    for projector in ("projector", "mask_projector"):
        assert count(shapes, rf"{projector}\..*") == linear(1024, 2 * hidden) + linear(2 * hidden, hidden)


def test_psalm():
    """Phi-1.5 without its output layer, Swin-B and the decoders of Mask2Former, and what PSALM adds."""
    phi = PhiConfig(
        vocab_size=51_200, hidden_size=2048, intermediate_size=8192, num_hidden_layers=24, num_attention_heads=32
    )
    config = PsalmConfig(text_config=phi)
    shapes = shapes_of(PsalmModel, config)
    hidden = 2048
    layer = 4 * linear(hidden, hidden) + linear(hidden, 8192) + linear(8192, hidden) + 2 * hidden
    words = 51_200 * hidden + 24 * layer + 2 * hidden
    assert words + linear(hidden, 51_200) == 1_418_270_720  # published for Phi-1.5 with its output layer
    assert count(shapes, r"language_model\..*") == words
    swin = sum(
        depth * (linear(c, 3 * c) + linear(c, c) + linear(c, 4 * c) + linear(4 * c, c) + 4 * c + 23**2 * heads)
        for depth, c, heads in zip((2, 2, 18, 2), (128, 256, 512, 1024), (4, 8, 16, 32), strict=True)
    )
    swin += linear(48, 128) + 2 * 128  # patches of 4 x 4 pixels
    swin += sum(8 * c * c + 8 * c for c in (128, 256, 512))  # merging of four neighbours
    swin += sum(2 * c for c in (128, 256, 512, 1024))  # norms of the four outputs
    assert count(shapes, r"vision_tower\..*") == swin
    assert 86e6 < swin < 88e6
    assert shapes["seg_query"] == (100, hidden)
    assert shapes["pixel_decoder.input_proj.0.0.weight"] == (256, 1024, 1, 1)
    assert shapes["pixel_decoder.layers.5.linear1.weight"] == (1024, 256)
    assert shapes["mask_decoder.layers.8.linear1.weight"] == (2048, 256)
    attention = 4 * linear(256, 256)
    decoder = 9 * (2 * attention + linear(256, 2048) + linear(2048, 256) + 3 * 2 * 256)
    decoder += 2 * 256 + 3 * linear(256, 256) + 3 * 256
    assert count(shapes, r"mask_decoder\..*") == decoder
    # Published: transformers counts 106.9 million for encoder and decoders with 100 queries of two tables.
    trunk = count(shapes, r"(vision_tower|pixel_decoder|mask_decoder)\..*") + 2 * 100 * 256
    assert trunk == pytest.approx(106.9e6, abs=0.06e6)
    assert count(shapes, r"query_projector\..*") == linear(hidden, 256)
