"""Parts of PixelLM against figures worked out by hand, and against the classes of transformers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPVisionConfig, CLIPVisionModel, SamConfig, SamModel

from baselines.common.languages import byte_tokenizer
from baselines.common.processing import add_tokens
from baselines.pixellm.learner import new_config
from baselines.pixellm.modeling import FourierPositions, PixelLMConfig, PixelLMFeatures, PixelLMModel
from baselines.pixellm.predictor import PixelLMProcessor
from baselines.pixellm.vision import PaddedClip, resized_positions
from baselines.training.config import TrainConfig, load_config
from baselines.training.data import StepDataset, order_of
from baselines.training.learner import build_learner
from earthreason import load_dataset

TEXT = {"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
CLIP = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2}
LISA = Path(__file__).parent.parent / "lisa/published"
PAPER = Path(__file__).resolve().parents[3] / "baselines/configs/pixellm/paper.yaml"
LOGIT = math.log(3)  # a probability of 3/4


def model_of(**changes):
    torch.manual_seed(0)
    config = PixelLMConfig(
        text_config={**TEXT, "num_attention_heads": 2},
        clip_config={**CLIP, "image_size": 56, "patch_size": 14},
        image_size=112,
        language_side=4,
        projector_dim=16,
        decoder_dim=16,
        decoder_ffn=16,
        decoder_heads=2,
        **changes,
    )
    return PixelLMModel(config).eval()


@pytest.fixture(scope="module")
def processor():
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer, PixelLMProcessor.tokens)
    return PixelLMProcessor(tokenizer, image_size=112, visual_tokens=16)


def test_the_mask_is_made_one_position_before_each_codebook_token(processor):
    prompt = processor.prompt("where?", answer="Here.", reply=True)
    chosen = [n for n, made in enumerate(prompt.question) if made]
    vocabulary = processor.tokenizer.get_vocab()
    assert [prompt.input_ids[n + 1] for n in chosen] == [vocabulary[f"[SEG{k}]"] for k in range(6)]


def test_a_published_model_is_asked_as_lisa_with_six_tokens_for_one():
    recorded = json.loads((LISA / "conversations.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(LISA)
    tokenizer.pad_token = tokenizer.unk_token
    codebook = add_tokens(tokenizer, PixelLMProcessor.tokens)
    asked = PixelLMProcessor.for_model(PixelLMConfig(wording="published"), tokenizer)
    ids = asked.prompt("Where could a boat moor?").input_ids
    kept = [token for token, before in zip(ids, [None, *ids], strict=False) if (token, before) != (-200, -200)]
    expected = recorded["sentence"]["ids"]
    assert kept == [*expected[: expected.index(recorded["added"]["[SEG]"])], *codebook]
    assert ids.count(-200) == 256


def test_a_position_table_is_resized_bilinearly_and_keeps_the_class_token_first():
    table = torch.tensor([[9.0], [0.0], [4.0], [8.0], [12.0]])  # class token, then 2 x 2
    found = resized_positions(table, 4).flatten().tolist()
    row = [0, 1, 3, 4]  # by hand: new centres lie a quarter and three quarters between old ones
    assert found == [9, *(x + y for y in (0, 2, 6, 8) for x in row)]


def test_the_released_code_takes_the_last_position_for_the_class_token():
    table = torch.tensor([[0.0], [4.0], [8.0], [12.0], [9.0]])
    found = resized_positions(table, 4, shifted=True).flatten().tolist()
    assert found == [*(x + y for y in (0, 2, 6, 8) for x in [0, 1, 3, 4]), 9]


@torch.no_grad()
def test_patch_states_are_those_of_clip_at_its_own_size():
    config = CLIPVisionConfig(**CLIP, image_size=56, patch_size=14)
    reference = CLIPVisionModel(config).eval()
    tower = PaddedClip(config).eval()
    tower.load_state_dict(reference.state_dict())
    pixels = torch.randn(2, 3, 56, 56)
    states = reference(pixels, output_hidden_states=True).hidden_states
    found = tower(pixels, torch.ones(2, 16, dtype=torch.bool), (-2, -11))
    assert torch.allclose(found[0], states[-2][:, 1:], atol=1e-5)
    assert torch.allclose(found[1], states[-11][:, 1:], atol=1e-5)


@torch.no_grad()
def test_the_deeper_layer_is_the_first_map_and_the_source_of_the_visual_tokens():
    model = model_of()
    seen = {}
    model.vision_tower.forward = lambda pixels, visible, layers, shifted: (
        seen.update(pixels=pixels, layers=layers) or tuple(torch.full((1, 64, 16), float(n)) for n in (1, 2))
    )
    model.projector = model.mask_projector = model.neck = nn.Identity()
    features = model.encode_image(torch.full((1, 3, 112, 112), 200, dtype=torch.uint8))
    assert seen["layers"] == (-2, -11)
    assert [float(part.mean()) for part in features.maps] == [1, 2]
    assert features.visual_tokens.unique().tolist() == [1]
    means = [(200 - 123.675) / 58.395, (200 - 116.28) / 57.12, (200 - 103.53) / 57.375]
    assert seen["pixels"].mean((0, 2, 3)).tolist() == pytest.approx(means, rel=1e-5)


@torch.no_grad()
def test_padding_is_nought_after_normalisation_and_hidden():
    model = model_of()
    seen = {}
    states = model.vision_tower.forward
    model.vision_tower.forward = lambda pixels, visible, *rest: (
        seen.update(pixels=pixels, visible=visible) or states(pixels, visible, *rest)
    )
    canvas = torch.full((1, 4, 112, 112), 255, dtype=torch.uint8)
    canvas[:, 3, :, :15] = canvas[:, 3, :, 90:] = 0  # 15 columns on the left, 22 on the right
    features = model.encode_image(canvas)
    assert seen["pixels"][..., :15].count_nonzero() == seen["pixels"][..., 90:].count_nonzero() == 0
    assert seen["pixels"][..., 15:90].count_nonzero() == 3 * 112 * 75
    row = [False, True, True, True, True, True, True, False]  # the second patch shows 13 columns, the seventh 6
    assert seen["visible"].view(8, 8).tolist() == [row] * 8
    assert features.visible.view(4, 4).tolist() == [[True] * 4] * 4
    canvas[:, 3, :, :28] = 0
    assert model.encode_image(canvas).visible.view(4, 4).tolist() == [[False, True, True, True]] * 4


@torch.no_grad()
def test_what_is_on_hidden_visual_tokens_does_not_reach_the_words(processor):
    model = model_of()
    prompt = processor.pad([processor.prompt("a?")])
    prompt["input_ids"].clamp_(max=39)
    visible = torch.tensor([[True] * 8 + [False] * 8])

    def states_of(hidden_value):
        tokens = torch.ones(1, 16, 16)
        tokens[:, 8:] = hidden_value
        image = PixelLMFeatures(tokens, visible, (torch.empty(1), torch.empty(1)))
        seen = model.attended(prompt["attention_mask"], prompt["input_ids"], image)
        return seen, model.read(model.embed(prompt["input_ids"], tokens), seen)[:, -6:]

    seen, words = states_of(1.0)
    shown = prompt["input_ids"][0] == -200
    assert seen[0][shown].tolist() == [1] * 8 + [0] * 8
    assert seen[0][~shown].all()
    assert torch.allclose(words, states_of(-3.0)[1])


@pytest.mark.parametrize(("released", "expected"), [(True, [6 / 6, 60 / 6]), (False, [6 / 3, 60 / 3])])
@torch.no_grad()
def test_tokens_are_fused_scale_by_scale(released, expected):
    model = model_of(as_released=released)
    model.query = nn.Identity()
    states = torch.zeros(1, 9, 16)
    states[0, 2:8] = torch.tensor([1.0, 2, 3, 10, 20, 30])[:, None]
    marked = torch.zeros(1, 9, dtype=torch.bool)
    marked[0, 2:8] = True
    found = model.make_queries(states, marked)
    assert found.shape == (1, 2, 16)
    assert found[0, :, 0].tolist() == pytest.approx(expected)


@torch.no_grad()
def test_the_scales_count_half_each_and_the_first_mask_raises_the_second_map():
    decoder = model_of(as_released=True).pixel_decoder
    given = []

    def mask(scale, query, image):
        given.append((query.mean().item(), image))
        return torch.full((1, 1, 8 * (scale + 1), 8 * (scale + 1)), [LOGIT, 10.0][scale])

    decoder._mask = mask
    decoder.enlarge = nn.Upsample(scale_factor=2)
    decoder.no_mask.data.fill_(100.0)
    queries = torch.tensor([1.0, 2.0])[None, :, None].expand(1, 2, 16)
    found = decoder(queries, (torch.full((1, 16, 4, 4), 3.0), torch.full((1, 16, 4, 4), 4.0)))
    assert [query for query, _ in given] == [1, 2]
    assert given[0][1].unique().tolist() == [103]
    assert given[1][1].unique().tolist() == pytest.approx([4 * (1 + 3 / 4) + 100])
    assert given[1][1].shape == (1, 16, 8, 8)
    assert found.unique().tolist() == pytest.approx([(LOGIT + 10) / 2])


@torch.no_grad()
def test_each_learned_weight_is_that_of_its_own_token_or_scale():
    model = model_of()
    model.query = nn.Identity()
    model.token_weights.copy_(torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.1]]))
    tokens = torch.tensor([1.0, 2, 3, 10, 20, 30])[None, :, None].expand(1, 6, 16)
    found = model.make_queries(tokens, torch.ones(1, 6, dtype=torch.bool))
    assert found[0, :, 0].tolist() == pytest.approx([1 + 0.5 * 3, 2 * 20 + 0.1 * 30])
    decoder = model.pixel_decoder
    decoder.scale_weights.copy_(torch.tensor([0.25, 2.0]))
    decoder._mask = lambda scale, *_: torch.full((1, 1, 8 * (scale + 1), 8 * (scale + 1)), [4.0, 10.0][scale])
    image = torch.zeros(1, 16, 4, 4)
    assert decoder(found, (image, image)).unique().tolist() == [0.25 * 4 + 2 * 10]


@torch.no_grad()
def test_positions_are_those_of_sam():
    sam = SamModel(
        SamConfig(
            vision_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_pos_feats": 8},
            prompt_encoder_config={"hidden_size": 16, "image_size": 96},
            mask_decoder_config={"hidden_size": 16},
        )
    )
    positions = FourierPositions(16)
    sam.shared_image_embedding.positional_embedding.copy_(positions.matrix)
    assert torch.allclose(positions(6, 6), sam.get_image_wide_positional_embeddings(), atol=1e-5)


def test_losses_are_weighted_as_published(processor):
    config = new_config("mini", 256, model_of().config.text_config, list(range(34, 40)), head=False)
    model = PixelLMModel(config).eval()
    logits = torch.tensor([[[LOGIT, LOGIT], [-LOGIT, -LOGIT]]])
    model.decode = lambda queries, image: logits - model.mask_offset
    image = PixelLMFeatures(torch.zeros(1, 4, 16), torch.ones(1, 4, dtype=torch.bool), (torch.empty(1), torch.empty(1)))
    ids = torch.tensor([[1, -200, -200, -200, -200, 34, 35, 36, 37, 38, 39, 2]])
    labels = torch.full_like(ids, -100)
    labels[0, 5:] = ids[0, 5:]
    marked = torch.zeros_like(ids, dtype=torch.bool)
    marked[0, 4:10] = True
    masks = torch.tensor([[[1, 0], [1, 0]]])
    found = model(ids, torch.ones_like(ids), marked, image=image, masks=masks, labels=labels)
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    assert found.losses["mask"].item() == pytest.approx(2.0 * (right + wrong) / 2, rel=1e-5)
    share = 2 * (3 / 4 + 1 / 4) / (2 * (3 / 4 + 1 / 4) + 2)
    assert found.losses["dice"].item() == pytest.approx(0.5 * (1 - share), rel=1e-3)
    states = model.read(model.embed(ids, image.visual_tokens), torch.ones_like(ids))
    spoken = F.cross_entropy(model.lm_head(states)[0, 4:11], ids[0, 5:])
    assert found.losses["language"].item() == pytest.approx(1.0 * spoken.item(), rel=1e-5)
    assert found.loss.item() == pytest.approx(sum(value.item() for value in found.losses.values()), rel=1e-6)


@pytest.mark.parametrize(("size", "box"), [((224, 112), (0, 28, 112, 84)), ((112, 112), (0, 0, 112, 112))])
def test_the_processor_marks_what_shows_the_image(processor, size, box):
    height, width = size
    canvas = processor.pixels([Image.new("RGB", (width, height), "white")])[0]
    top, left, bottom, right = box  # by hand: half as wide as high, so a quarter of the canvas on either side
    expected = np.zeros((112, 112))
    expected[top:bottom, left:right] = 255
    assert canvas.shape == (4, 112, 112)
    assert np.array_equal(canvas[3].numpy(), expected)
    assert np.array_equal(canvas[0].numpy(), expected)  # white on black


def test_training_marks_the_padding_and_turns_it_with_the_image():
    def change(row):
        return {
            "image": row["image"].resize((64, 31)),
            "mask": row["mask"].resize((64, 31)),
            "height": 31,
            "width": 64,
            "questions": ["which of these burns first?"],
            "answers": [],
        }

    rows = load_dataset("earthreason", "sample", split="train[:8]").map(change)
    white = rows.map(lambda row: {"image": Image.new("RGB", (64, 31), "white")})
    config = TrainConfig.model_validate(
        {
            "model": {"name": "pixellm", "size": "mini", "image_size": 128},
            "data": {"augment": "dihedral"},
            "optim": {"global_batch": 8, "micro_batch": 8},
        }
    )
    learner = build_learner(config, list)
    dataset = StepDataset(white, learner, config, order_of(white, config))
    ((_, batch),) = dataset[0]
    pixels = batch["pixel_values"]
    assert pixels.shape == (8, 4, 128, 128)
    assert torch.equal(pixels[:, 3], pixels[:, 0])  # white where the image is, also after turns and flips
    assert len({tuple(canvas[3].any(0).tolist()) for canvas in pixels}) > 1  # some lie, some stand


def test_the_recipe_is_that_of_the_public_code():
    optim, model = load_config(PAPER).optim, load_config(PAPER).model
    assert (optim.learning_rate, optim.betas, optim.weight_decay, optim.clip) == (3e-4, (0.9, 0.95), 0, 1)
    assert (optim.schedule, optim.steps, round(optim.warmup_share * optim.steps)) == ("linear", 10 * 500, 100)
    assert (optim.micro_batch, optim.global_batch) == (2, 2 * 10 * 8)
    assert (model.lora.rank, model.lora.alpha, model.lora.dropout) == (8, 16, 0.05)
