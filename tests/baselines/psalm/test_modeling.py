"""PSALM's parts: decoders against transformers' Mask2Former, the rest by hand or from the public code's rules."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.common.languages import byte_tokenizer, text_config
from baselines.common.processing import add_tokens
from baselines.psalm.connector import ResidualConnector
from baselines.psalm.modeling import QUERY_ID, PsalmConfig, PsalmModel, best_mask, merged_masks
from baselines.psalm.predictor import PsalmPredictor, PsalmProcessor
from baselines.segearth_r1.modeling import ImageFeatures
from baselines.segearth_r1.tiny import parts_of
from earthreason.errors import EarthReasonError
from tests.baselines.psalm.reference import CHANNELS, DIM, QUERIES, SIDES, Mask2Former


def small_config(**changes):
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    settings = {"image_size": 128, "queries": QUERIES, "connector_dim": 64, **parts_of("mini"), **changes}
    return PsalmConfig(text_config=text_config("mini", len(tokenizer)), **settings)


def small_model(**changes):
    torch.manual_seed(0)
    return PsalmModel(small_config(**changes)).eval()


def image_of(batch=1):
    """Random image features of a canvas of 128 px."""
    sides = {"mask": 32, "memories": (4, 8, 16)}
    return ImageFeatures(
        torch.randn(batch, 128, 4, 4),
        torch.randn(batch, 4, 64),
        torch.randn(batch, DIM, sides["mask"], sides["mask"]),
        [torch.randn(batch, DIM, side, side) for side in sides["memories"]],
    )


@torch.no_grad()
def test_masks_are_those_of_mask2former_with_learned_query_positions():
    torch.manual_seed(1)
    reference, model = Mask2Former(), small_model()
    weights = reference.our_weights()
    assert model.load_state_dict(weights, strict=False).unexpected_keys == []
    decoders = {n for n in model.state_dict() if n.startswith(("pixel_decoder.", "mask_decoder.", "query_positions"))}
    assert decoders == weights.keys()
    features = tuple(torch.randn(2, c, *side) for c, side in zip(CHANNELS, SIDES, strict=True))
    queries = torch.randn(QUERIES, DIM)
    mask_features, expected = reference(features, queries)
    image = ImageFeatures(features[-1], torch.empty(2, 0, 64), *model.pixel_decoder(features))
    assert torch.allclose(image.mask_features, mask_features, atol=1e-4)
    model.query_projector.weight.copy_(torch.eye(DIM))
    model.query_projector.bias.zero_()
    states = torch.cat([torch.randn(2, 3, DIM), queries.expand(2, -1, -1)], dim=1)
    is_query = (torch.arange(3 + QUERIES) >= 3).expand(2, -1)
    logits, _, _ = model.propose(states, ~is_query, is_query, image)
    assert len(logits) == len(expected) == 4
    for found, step in zip(logits, expected, strict=True):
        assert torch.allclose(found, step, atol=1e-3)


@torch.no_grad()
def test_query_positions_reach_the_decoder():
    model, image = small_model(), image_of()
    states = torch.randn(1, 9, 64)
    question, is_query = torch.arange(9).view(1, 9) < 2, torch.arange(9).view(1, 9) >= 4
    before, _, _ = model.propose(states, question, is_query, image)
    model.query_positions += 1.0
    after, _, _ = model.propose(states, question, is_query, image)
    assert torch.equal(before[0], after[0])  # the first prediction is made before any layer
    assert not torch.allclose(before[-1], after[-1])


@torch.no_grad()
def test_scores_are_plain_dot_products_of_normalised_queries_and_the_mean_of_the_condition():
    """In numpy, by the public code: no scale, no temperature, and only the question's states in the mean."""
    model, image = small_model(), image_of()
    states = torch.randn(1, 12, 64)
    question = torch.zeros(1, 12, dtype=torch.bool)
    question[0, 3:6] = True
    is_query = torch.zeros(1, 12, dtype=torch.bool)
    is_query[0, 7:12] = True
    _, scores, _ = model.propose(states, question, is_query, image)
    assert len(scores) == 1 + 3  # before the first and after each layer

    def linear(layer, x):
        return x @ layer.weight.numpy().T + layer.bias.numpy()

    condition = linear(model.condition_projector, states[0].numpy()[3:6].mean(0))
    queries = linear(model.query_projector, states[0].numpy()[7:12])
    centred = queries - queries.mean(-1, keepdims=True)
    normal = centred / np.sqrt(queries.var(-1, keepdims=True) + 1e-5)
    normal = normal * model.mask_decoder.norm.weight.numpy() + model.mask_decoder.norm.bias.numpy()
    hidden = np.maximum(linear(model.score_projector[0], normal), 0)
    expected = linear(model.score_projector[2], hidden) @ condition
    assert np.allclose(scores[0][0].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_the_question_alone_is_the_condition():
    """The states of the instruction and of the image change no score before the first layer."""
    model, image = small_model(), image_of()
    states = torch.randn(1, 12, 64)
    question, is_query = torch.zeros(2, 1, 12, dtype=torch.bool)
    question[0, 3:6] = is_query[0, 7:12] = True
    other = states.clone()
    other[0, [0, 1, 2, 6]] += 1.0
    first, second = (model.propose(s, question, is_query, image)[1][0] for s in (states, other))
    assert torch.equal(first, second)


@torch.no_grad()
def test_the_last_step_answers_and_queries_count_for_presence_by_their_scores():
    """Scores of ln 3 / 2 and 3 ln 3 / 2 are shares of 1/4 and 3/4, of queries whose first number is 1 and 3."""
    model = small_model(no_target_head=True)
    refined = torch.zeros(1, 2, DIM)
    refined[0, :, 0] = torch.tensor([1.0, 3.0])
    model.mask_decoder.forward = lambda *_: ([torch.full((1, 2, 4, 4), n) for n in (-9.0, 9.0)], [0 * refined, refined])
    model.score_projector = torch.nn.Identity()
    for layer, first in ((model.condition_projector, "bias"), (model.presence, "weight")):
        layer.weight.zero_()
        layer.bias.zero_()
        getattr(layer, first)[..., 0] = 1.0
    model.condition_projector.bias *= math.log(3) / 2
    is_query = torch.arange(1 + QUERIES).view(1, -1) > 0
    fields, _ = model.answer(torch.zeros(1, 1 + QUERIES, 64), ~is_query, image_of(), None, is_query=is_query)
    assert fields["mask_logits"].unique().tolist() == [9]
    assert fields["presence_logits"].item() == pytest.approx(1 / 4 * 1 + 3 / 4 * 3)


def test_the_mask_queries_start_at_zero_and_are_inserted_in_order():
    model = small_model()
    assert model.seg_query.shape == (QUERIES, 64)
    assert not model.seg_query.any()
    with torch.no_grad():
        model.seg_query.copy_(torch.arange(QUERIES).view(-1, 1).expand(-1, 64))
    ids = torch.tensor([[5, *[QUERY_ID] * QUERIES], [*[QUERY_ID] * QUERIES, 5]])
    embedded = model.embed(ids, torch.zeros(2, 4, 64))
    assert embedded[0, 1:, 0].tolist() == embedded[1, :-1, 0].tolist() == [0, 1, 2, 3, 4]
    word = model.get_input_embeddings()(torch.tensor(5))
    assert torch.equal(embedded[0, 0], word)
    assert torch.equal(embedded[1, -1], word)


@torch.no_grad()
def test_pixels_are_normalised_by_the_statistics_of_imagenet():
    model, seen = small_model(), []
    model.vision_tower.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.encode_image(torch.full((1, 3, 128, 128), 255, dtype=torch.uint8))
    expected = [(255 - m) / s for m, s in zip((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), strict=True)]
    assert seen[0][0, :, 7, 9].tolist() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_the_language_model_sees_the_coarsest_features():
    model, seen = small_model(), []
    model.connector.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.vision_tower.register_forward_hook(lambda *parts: seen.append(parts[2]))
    image = model.encode_image(torch.randint(0, 255, (1, 3, 128, 128), dtype=torch.uint8))
    features, connected = seen
    assert connected is features[3]
    assert [tuple(each.shape[1:]) for each in features] == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)]
    assert image.visual_tokens.shape == (1, 4, 64)


@torch.no_grad()
def test_the_connector_runs_its_second_convolution_twice_beside_a_shortcut():
    """One channel, centred kernels: 1 and 2, times 3 twice, plus a shortcut of 10 and 20: 19 and 38 times the input.

    The first norm halves, the second one doubles.
    """
    connector = ResidualConnector(channels=1, width=2, hidden=2, stride=2).eval()
    for convolution, diagonal in ((connector.conv1, (1.0, 2.0)), (connector.conv2, (3.0, 3.0))):
        convolution.weight.zero_()
        for out, value in enumerate(diagonal):
            convolution.weight[out, min(out, convolution.in_channels - 1), 1, 1] = value
    connector.norm1.running_var.fill_(4.0)
    connector.norm2.running_var.fill_(0.25)
    connector.shortcut[0].weight.copy_(torch.tensor([10.0, 20.0]).view(2, 1, 1, 1))
    connector.fc.weight.copy_(torch.eye(2))
    connector.fc.bias.zero_()
    tokens = connector(torch.arange(16.0).view(1, 1, 4, 4))
    every_second = torch.tensor([0.0, 2.0, 8.0, 10.0])
    assert torch.allclose(tokens[0, :, 0], 19 * every_second, rtol=1e-4)
    assert torch.allclose(tokens[0, :, 1], 38 * every_second, rtol=1e-4)


def test_the_published_canvas_gives_256_visual_tokens_and_a_second_stride_is_refused():
    assert PsalmConfig().visual_tokens == 256
    assert PsalmConfig().queries == 100
    with pytest.raises(EarthReasonError, match=r"connector_strides=\[2, 2\].*must be 1"):
        PsalmConfig(connector_strides=(2, 2))


def masks_and_scores(*products, level=10.0):
    """Queries that each claim a pixel of their own with certainty 1, with scores of the given probabilities."""
    count = len(products)
    logits = torch.full((1, count, 1, count), -level)
    logits[0, range(count), 0, range(count)] = level
    return logits, torch.tensor([[math.log(p / (1 - p)) for p in products]])


def shown(mask):
    return (mask[0, 0] > 0).tolist()


def test_the_union_takes_every_mask_above_six_tenths():
    assert shown(merged_masks(*masks_and_scores(0.61, 0.59, 0.9, 0.3))) == [True, False, True, False]


def test_without_a_mask_above_six_tenths_the_best_is_taken():
    """So it never answers "no target" by itself, as the published evaluation on gRefCOCO."""
    assert shown(merged_masks(*masks_and_scores(0.2, 0.59, 0.1))) == [False, True, False]


def test_a_referring_expression_gets_the_best_mask_alone():
    assert shown(best_mask(*masks_and_scores(0.7, 0.95, 0.9))) == [False, True, False]


def test_an_uncertain_mask_counts_less():
    """A score counts times the mean probability inside the mask: 0.9 x 0.6 is less than 0.6, and than 0.7 x 1."""
    logits, scores = masks_and_scores(0.9, 0.7)
    logits[0, 0] = torch.tensor([[math.log(0.6 / 0.4), -10.0]])
    assert shown(best_mask(logits, scores)) == [False, True]
    assert shown(merged_masks(logits, scores)) == [False, True]


@pytest.mark.parametrize(("task", "both"), [("referring", False), ("reasoning", True)])
def test_the_task_decides_between_one_mask_and_a_union(task, both):
    model = small_model()
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    predictor = PsalmPredictor(model, PsalmProcessor.for_model(model.config, tokenizer), task=task)
    left, right = torch.full((2, 32, 32), -9.0)
    left[:, :16], right[:, 16:] = 9.0, 9.0
    logits = torch.stack([left, right, *[torch.full((32, 32), -9.0)] * 3]).unsqueeze(0)
    scores = torch.tensor([[3.0, 2.0, -5.0, -5.0, -5.0]])
    model.propose = lambda *_: ([logits], [scores], None)
    [mask] = predictor.predict([Image.new("RGB", (128, 128))], ["the two halves"])
    assert mask[:, :60].all()
    assert mask[:, 68:].all() == both
    assert mask[:, 68:].any() == both
