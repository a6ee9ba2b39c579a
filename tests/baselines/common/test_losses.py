"""The losses of LISA and PixelLM against figures worked out by hand."""

import math

import pytest
import torch

from baselines.common.losses import contested_weights, dense_losses, language_loss, presence_loss

LOGIT = math.log(3)  # a probability of 3/4


def test_cross_entropy_and_dice_of_four_pixels():
    logits = torch.tensor([[[LOGIT, LOGIT], [-LOGIT, -LOGIT]]])
    masks = torch.tensor([[[1, 0], [1, 0]]])
    found = dense_losses(logits, masks)
    cross = (-math.log(3 / 4) - math.log(1 / 4)) / 2  # two pixels are right, two are wrong
    assert found["mask"].item() == pytest.approx(2.0 * cross, rel=1e-6)
    overlap, sizes = 3 / 4 + 1 / 4, 2 * (3 / 4 + 1 / 4) + 2
    assert found["dice"].item() == pytest.approx(0.5 * (1 - 2 * overlap / sizes), rel=1e-3)


def test_dice_divides_both_terms_by_a_thousand_before_it_adds_a_millionth():
    logits = torch.full((1, 2, 2), math.log(1e-3 / (1 - 1e-3)))  # four probabilities of a thousandth, and no target
    share = 1e-6 / (4 * 1e-3 / 1000 + 1e-6)
    found = dense_losses(logits, torch.zeros(1, 2, 2))["dice"].item()
    assert found == pytest.approx(0.5 * (1 - share), rel=1e-4) == pytest.approx(0.4, rel=1e-3)


def test_every_sample_weighs_alike_in_dice():
    logits = torch.full((2, 2, 2), 20.0)
    masks = torch.stack([torch.ones(2, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0]])])
    share = (1 + 2 * 1 / (4 + 1)) / 2
    assert dense_losses(logits, masks)["dice"].item() == pytest.approx(0.5 * (1 - share), rel=1e-3)


def test_pixels_that_two_masks_of_a_group_claim_count_twice():
    logits, masks = torch.tensor([[[LOGIT, LOGIT]], [[LOGIT, -LOGIT]]]), torch.ones(2, 1, 2)
    plain, weighted = (dense_losses(logits, masks, groups)["mask"] for groups in (None, torch.tensor([0, 0])))
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)  # the first pixel is claimed twice
    assert plain.item() == pytest.approx(2.0 * (3 * right + wrong) / 4, rel=1e-6)
    assert weighted.item() == pytest.approx(2.0 * (5 * right + wrong) / 4, rel=1e-6)


def test_only_pixels_that_two_masks_of_a_group_claim_are_contested():
    logits = torch.tensor([[[1.0, 1.0, -1.0]], [[1.0, -1.0, -1.0]], [[1.0, 1.0, 1.0]]])
    found = contested_weights(logits, torch.tensor([0, 0, 1]))
    assert found[:, 0].tolist() == [[2, 1, 1], [2, 1, 1], [1, 1, 1]]


def test_presence_is_the_cross_entropy_of_whether_a_mask_has_a_pixel():
    masks = torch.zeros(2, 2, 2)
    masks[0, 1, 1] = 1
    found = presence_loss(torch.tensor([LOGIT, LOGIT]), masks)
    assert found.item() == pytest.approx((-math.log(3 / 4) - math.log(1 / 4)) / 2, rel=1e-6)


def test_words_are_learned_one_position_ahead_and_only_where_they_count():
    states = torch.zeros(1, 3, 2)
    states[0, 1, 0] = LOGIT  # the second position says word 0 with 3/4
    labels = torch.tensor([[5, -100, 0]])  # the first label has no position before it
    found = language_loss(lambda rows: rows, states, labels)
    assert found.item() == pytest.approx(-math.log(3 / 4), rel=1e-6)
    assert language_loss(lambda rows: rows, states, torch.full((1, 3), -100)).item() == 0
