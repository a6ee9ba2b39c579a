"""A converted PixelLM computes what its public code computes from the same tensors, at small width."""

from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from baselines.pixellm.conversion import convert_published
from baselines.pixellm.modeling import PixelLMConfig
from baselines.pixellm.predictor import PixelLMPredictor
from tests.baselines.pixellm import published
from tests.baselines.test_published import pixellm_shapes, text_parts

CODEBOOK = tuple(f"[SEG{n}]" for n in range(6))
SIDE, H, WIDTH, FFN, HEADS = 112, 64, 32, 64, 4


def spread(shapes, seed=1):
    """Weights that keep the scale of their input, so that a change anywhere reaches the mask."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        values = torch.randn(*shape, generator=generator)
        if len(shape) == 1:
            made[name] = 0.2 * values + name.endswith("weight")  # of a norm, or a bias
        else:
            made[name] = values if shape[0] < 5 else values / shape[1] ** 0.5  # tables of tokens are small
    return made


def write(folder, clip_folder, width, ffn):
    """Write published files and return their tensors, CLIP (12 layers on 84 px) and LLaMA."""
    config, _, text = text_parts(folder, (*CODEBOOK, "<im_start>", "<im_end>"))
    torch.manual_seed(0)
    widths = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 12, "num_attention_heads": 4}
    clip = CLIPVisionModel(CLIPVisionConfig(image_size=84, patch_size=14, **widths)).eval()
    clip.embeddings.position_embedding.weight.data.normal_()
    clip.save_pretrained(clip_folder)
    tensors = spread(pixellm_shapes(clip=32, text=H, out=width, ffn=ffn, between=2 * H))
    save_file({**text, **tensors}, folder / "model.safetensors")
    llama = LlamaForCausalLM(LlamaConfig(**{**config.to_dict(), "attn_implementation": "eager"})).eval()
    llama.load_state_dict(text)
    return tensors, clip, llama


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The predictor of a converted checkpoint, and the public code's rule on the same tensors."""
    source, clip_folder, ours = (tmp_path_factory.mktemp(name) for name in ("source", "clip", "ours"))
    tensors, clip, llama = write(source, clip_folder, WIDTH, FFN)
    config = PixelLMConfig(
        text_config=llama.config.to_dict(),
        clip_config=clip.config,
        image_size=SIDE,
        language_side=4,
        projector_dim=2 * H,
        decoder_dim=WIDTH,
        decoder_ffn=FFN,
        decoder_heads=HEADS,
        as_released=True,
    )
    convert_published(source, clip_folder, ours, config=config)
    rule = partial(published.answer, tensors, clip, llama, heads=HEADS, ffn=FFN, language_side=4)
    return PixelLMPredictor.from_pretrained(ours), rule


def canvas_of(rows, columns):
    """A picture of (rows, columns) at the top left of the canvas, on padding of another value than 0."""
    pixels = np.full((SIDE, SIDE, 3), 77)
    pixels[:rows, :columns] = np.random.default_rng(0).integers(0, 256, (rows, columns, 3))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[:rows, :columns] = True
    return pixels, inside


@pytest.mark.parametrize("size", [(112, 112), (50, 112), (112, 60)])
@torch.no_grad()
def test_the_mask_is_that_of_the_public_code(both, size):
    predictor, rule = both
    pixels, inside = canvas_of(*size)
    prompt = predictor.processor.prompt("where could a boat moor?")
    expected = rule(pixels, inside, (prompt.input_ids, predictor.processor.token_ids))
    marked = np.concatenate([pixels, 255 * inside[..., None]], -1).astype(np.uint8)
    batch = predictor.processor.pad([prompt])
    found = predictor.model(pixel_values=torch.from_numpy(marked).permute(2, 0, 1)[None], **batch).mask_logits[0]
    assert found.shape == expected.shape == (32, 32)
    assert expected.std() > 0.1
    assert torch.allclose(found, expected, atol=1e-3 * float(expected.std()))


def test_the_configuration_follows_from_the_published_files(tmp_path):
    source, clip_folder = tmp_path / "source", tmp_path / "clip"
    source.mkdir()
    tensors, _, _ = write(source, clip_folder, 256, 2048)
    convert_published(source, clip_folder, tmp_path / "ours")
    model = PixelLMPredictor.from_pretrained(tmp_path / "ours").model
    made = model.config
    assert (made.image_size, made.language_side, made.feature_layers) == (448, 16, (-2, -11))
    assert made.projector_dim == 2 * H
    assert made.as_released
    assert made.foreground_prior is None
    assert made.wording == "published"
    published_tokens = [tensors[f"model.mask_decoder.{name}.weight"] for name in ("iou_token", "mask_tokens")]
    assert torch.equal(model.pixel_decoder.tokens, torch.cat(published_tokens))
