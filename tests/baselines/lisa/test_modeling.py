"""LISA's parts against transformers' CLIP, SAM and LLaMA, and against the public code's rules worked by hand."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import CLIPVisionModel, LlamaForCausalLM, SamModel
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from baselines.common.languages import byte_tokenizer, text_config
from baselines.common.processing import add_tokens
from baselines.lisa.learner import new_config
from baselines.lisa.modeling import LisaModel, image_positions
from baselines.lisa.predictor import LisaProcessor
from baselines.training.config import load_config
from baselines.training.optimizer import add_adapters
from baselines.training.pace import Pace

PAPER = Path(__file__).resolve().parents[3] / "baselines/configs/lisa/paper.yaml"
SIDE = 256


@pytest.fixture(scope="module")
def parts():
    tokenizer = byte_tokenizer()
    (seg,) = add_tokens(tokenizer)
    config = new_config("mini", SIDE, text_config("mini", len(tokenizer)), seg, False)
    torch.manual_seed(0)
    return LisaModel(config).eval(), LisaProcessor.for_model(config, tokenizer)


def picture_of(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoder_inputs(model, pixels):
    """What CLIP and SAM are given, and what the vision part makes of it."""
    seen = {}

    def watch(name, module):
        return module.register_forward_pre_hook(lambda _, given: seen.__setitem__(name, given[0]))

    hooks = [watch(name, getattr(model.vision_tower, name)) for name in ("clip", "sam")]
    with torch.no_grad():
        patches, embeddings = model.vision_tower(pixels)
    for hook in hooks:
        hook.remove()
    return seen["clip"], seen["sam"], patches, embeddings


def normalised(picture, mean, std):
    return torch.from_numpy((np.asarray(picture) / 255 - np.array(mean)) / np.array(std)).permute(2, 0, 1).float()


def test_each_encoder_sees_pixels_normalised_as_its_own_processor_does(parts):
    model, processor = parts
    picture = picture_of(SIDE, SIDE)
    clip, sam, *_ = encoder_inputs(model, processor.pixels([picture]))
    assert torch.allclose(sam[0], normalised(picture, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD), atol=1e-5)
    small = picture.resize((SIDE // 2, SIDE // 2), Image.Resampling.BILINEAR)  # rounds twice to whole numbers
    assert torch.allclose(clip[0], normalised(small, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD), atol=1.5 / 255 / 0.26)


def test_padding_is_zero_after_normalisation(parts):
    model, processor = parts
    picture = picture_of(SIDE // 2, SIDE)
    clip, sam, *_ = encoder_inputs(model, processor.pixels([picture]))
    band = slice(SIDE // 4, 3 * SIDE // 4)
    padding = torch.ones(SIDE, dtype=torch.bool)
    padding[band] = False
    assert sam[0][:, padding].abs().max() == 0
    inside = normalised(picture, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    assert torch.allclose(sam[0][:, band], inside, atol=1e-5)
    quarter = SIDE // 2 // 4 - 1  # one row of the smaller picture lies on the border
    assert clip[0][:, :quarter].abs().max() == clip[0][:, -quarter:].abs().max() == 0


def test_the_language_model_reads_the_patches_of_clip_before_its_last_layer(parts):
    model, processor = parts
    clip, _, patches, _ = encoder_inputs(model, processor.pixels([picture_of(SIDE, SIDE)]))
    config = model.config.clip_config.__class__(**model.config.clip_config.to_dict())
    config.num_hidden_layers -= 1
    shorter = CLIPVisionModel(config).eval()
    shorter.load_state_dict(model.vision_tower.clip.state_dict(), strict=False)
    with torch.no_grad():
        states = shorter(clip).last_hidden_state
    assert torch.allclose(patches, states[:, 1:], atol=1e-5)  # without the class token, which is first
    assert patches.shape[1] == processor.visual_tokens


@pytest.fixture(scope="module")
def sam(parts):
    """Transformers' SAM with the weights of ours."""
    model, _ = parts
    sam = SamModel(model.config.sam_config).eval()
    sam.vision_encoder.load_state_dict(model.vision_tower.sam.state_dict())
    sam.mask_decoder.load_state_dict(model.mask_decoder.state_dict())
    sam.shared_image_embedding.load_state_dict(model.positions.state_dict())
    sam.prompt_encoder.no_mask_embed.load_state_dict(model.no_mask.state_dict())
    return sam


def test_a_query_prompts_sam_as_its_only_sparse_prompt_and_the_first_mask_is_the_answer(parts, sam):
    model, processor = parts
    query = torch.randn(1, 1, model.config.sam_config.mask_decoder_config.hidden_size)
    with torch.no_grad():
        image = model.encode_image(processor.pixels([picture_of(SIDE, SIDE)]))
        found = model.decode(query, image)
        positions = sam.get_image_wide_positional_embeddings()
        _, dense = sam.prompt_encoder(None, None, None, None)
        expected = first_mask(sam.mask_decoder, image.embeddings, positions, query, dense)
    assert torch.allclose(found, expected, atol=1e-4)
    assert found.shape == (1, SIDE // 4, SIDE // 4)


def first_mask(decoder, embeddings, positions, query, dense):
    """The public decoder's rule: the token after that of the quality, through its own MLP, times the enlarged image."""
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None, None]  # (1, 1, 5, D)
    tokens = torch.cat([tokens, query[:, None]], dim=2)
    read, image = decoder.transformer(
        point_embeddings=tokens,
        image_embeddings=embeddings + dense,
        image_positional_embeddings=positions,
        attention_similarity=None,
    )[:2]
    side = embeddings.shape[-1]
    image = image.transpose(2, 3).reshape(1, -1, side, side)
    image = F.gelu(decoder.upscale_layer_norm(decoder.upscale_conv1(image)))
    image = F.gelu(decoder.upscale_conv2(image))
    weights = decoder.output_hypernetworks_mlps[0](read[:, 0, 1])  # (1, D / 8)
    return torch.einsum("bc,bchw->bhw", weights, image)


def test_positions_have_x_before_y(parts, sam):
    model, _ = parts
    side = SIDE // 16
    found = image_positions(model.positions, side, side)
    assert torch.allclose(found, sam.get_image_wide_positional_embeddings(), atol=1e-6)
    frequencies = model.positions.positional_embedding[0].detach()  # of x
    angles = 2 * torch.pi * (2 * (5 + 0.5) / side - 1) * frequencies
    across = found[0, : len(frequencies), side // 2, 5]
    middle = 2 * torch.pi * (2 * (side // 2 + 0.5) / side - 1) * model.positions.positional_embedding[1].detach()
    assert torch.allclose(across, torch.sin(angles + middle), atol=1e-4)


def test_the_mask_comes_from_the_state_that_predicts_seg(parts):
    model, processor = parts
    batch = processor([picture_of(SIDE, SIDE)], ["where could a boat moor?"])
    ids = batch["input_ids"][0].tolist()
    with torch.no_grad():
        found = model(**batch).mask_logits
        image = model.encode_image(batch["pixel_values"])
        embedded = model.embed(batch["input_ids"], image.visual_tokens)
        states = model.language_model(inputs_embeds=embedded).last_hidden_state
        expected = model.decode(model.query(states[:, ids.index(model.config.seg_token_id) - 1])[:, None], image)
    expected = expected + model.mask_offset
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_loss_of_words_is_that_of_transformers_and_all_three_are_added_with_the_papers_weights(parts):
    model, processor = parts
    batch = processor([picture_of(SIDE, SIDE)], ["where could a boat moor?"], answers=["At the pier."])
    masks = torch.zeros(1, SIDE, SIDE)
    masks[:, :100, :80] = 1
    with torch.no_grad():
        output = model(**batch, masks=masks)
        image = model.encode_image(batch["pixel_values"])
        causal = LlamaForCausalLM(model.config.text_config).eval()
        causal.model.load_state_dict(model.language_model.state_dict())
        causal.lm_head.load_state_dict(model.lm_head.state_dict())
        words = causal(
            inputs_embeds=model.embed(batch["input_ids"], image.visual_tokens), labels=batch["labels"]
        ).loss.item()
    logits = F.interpolate(output.mask_logits[:, None], size=(SIDE, SIDE), mode="bilinear")[0, 0].double().numpy()
    p, y = 1 / (1 + np.exp(-logits)), masks[0].double().numpy()
    cross = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    dice = 1 - (2 * (p / 1000 * y).sum() + 1e-6) / ((p / 1000).sum() + (y / 1000).sum() + 1e-6)
    assert output.losses["language"].item() == pytest.approx(words, rel=1e-5)
    assert output.loss.item() == pytest.approx(1.0 * words + 2.0 * cross + 0.5 * dice, rel=1e-4)


def test_every_parameter_of_sams_decoder_that_is_trained_gets_a_gradient(parts):
    """Torch's DistributedDataParallel waits for the gradient of each; no loss reads the quality that SAM predicts."""
    model, processor = copy.deepcopy(parts[0]), parts[1]
    batch = processor([picture_of(SIDE, SIDE)], ["where could a boat moor?"], answers=["At the pier."])
    model(**batch, masks=torch.ones(1, SIDE, SIDE)).loss.backward()
    decoder = model.mask_decoder.named_parameters()
    idle = {name.split(".")[0] for name, parameter in decoder if parameter.requires_grad and parameter.grad is None}
    assert idle == set()


def test_the_papers_preset_is_its_recipe():
    config = load_config(PAPER)
    optim, lora = config.optim, config.model.lora
    assert (optim.learning_rate, optim.betas, optim.weight_decay, optim.clip) == (3e-4, (0.9, 0.95), 0.0, 1.0)
    assert (lora.rank, lora.alpha, lora.dropout, lora.targets) == (8, 16, 0.05, ("q_proj", "v_proj"))
    pace = Pace.of(optim, 1)
    assert pace.steps == 5000
    rates = [pace.rate(step) for step in (50, 100, 2550, 5000)]  # 100 updates of warm-up, then a line to 0
    assert rates == pytest.approx([0.5, 1, 0.5, 0])


def test_adapters_are_in_the_language_model_alone(parts):
    model = copy.deepcopy(parts[0])
    add_adapters(model, load_config(PAPER).model.lora, [model.config.seg_token_id])
    adapted = {name.split(".lora_")[0] for name, _ in model.named_parameters() if ".lora_" in name}
    assert all(name.startswith("language_model.") for name in adapted)
    layers = model.config.text_config.num_hidden_layers
    assert len(adapted) == 2 * layers  # CLIP and SAM have projections of these names too
    dropouts = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout) and module.p]
    assert dropouts == [0.05] * len(adapted)
