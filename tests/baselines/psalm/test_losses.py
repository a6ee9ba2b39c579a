"""PSALM's match and losses: by hand, from scipy's assignment, and from transformers' Mask2Former."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerHungarianMatcher, Mask2FormerLoss

from baselines.psalm.losses import PsalmLossConfig, best_queries, match_losses, score_loss

CONFIG = PsalmLossConfig()
FLAT = PsalmLossConfig(padding="border", points=100)
"""Where the masks are flat, every point of a map has the same value."""
LEFT = torch.zeros(1, 1, 8, 8)
LEFT[..., :4] = 1


def proposals():
    """Three queries for an 8 x 8 map: everything, the left half, the right half."""
    sides = torch.cat([torch.ones(1, 1, 8, 8), LEFT, 1 - LEFT], dim=1)
    return 20 * sides - 10


def flat(*levels):
    """One row of queries, each with a mask (8, 8) of one value."""
    return torch.tensor(levels).view(1, -1, 1, 1).expand(-1, -1, 8, 8).clone()


def flat_costs(levels, label, points):
    """5 BCE + 5 Dice of flat masks against a flat target, as the public code defines both."""
    p = 1 / (1 + np.exp(-np.array(levels)))
    bce = -(label * np.log(p) + (1 - label) * np.log(1 - p))
    dice = 1 - (2 * points * p * label + 1) / (points * p + points * label + 1)
    return 5 * bce + 5 * dice


def reference_loss():
    """The loss of transformers with PSALM's published weights; a class costs nothing in the match."""
    config = Mask2FormerConfig(train_num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75)
    loss = Mask2FormerLoss(config, weight_dict={})
    loss.matcher = Mask2FormerHungarianMatcher(cost_class=0.0, cost_mask=5.0, cost_dice=5.0, num_points=12544)
    return loss


def test_published_settings_are_the_defaults():
    assert (CONFIG.points, CONFIG.oversampling, CONFIG.uncertain_share) == (12_544, 3.0, 0.75)
    assert (CONFIG.bce, CONFIG.dice, CONFIG.padding) == (5.0, 5.0, "zeros")


@pytest.mark.parametrize("seed", range(3))
def test_match_bce_and_dice_are_those_of_mask2former_with_the_published_weights(seed):
    torch.manual_seed(seed)
    logits, target = 4 * torch.randn(1, 7, 16, 16), (torch.rand(1, 32, 32) > 0.7).float()
    reference = reference_loss()
    torch.manual_seed(seed)
    indices = reference.matcher(logits, torch.zeros(1, 7, 2), [target], [torch.zeros(1, dtype=torch.int64)])
    expected = reference.loss_masks(logits, [target], indices, 1)
    torch.manual_seed(seed)
    [[matched]] = [row[0].tolist() for row in indices]
    assert best_queries(logits, target.unsqueeze(1), CONFIG).tolist() == [matched]
    torch.manual_seed(seed)  # the same points are drawn for the match, then for the losses
    found = match_losses([logits], [torch.zeros(1, 7)], target)
    assert found["mask"].item() == pytest.approx(5 * expected["loss_mask"].item(), rel=1e-5)
    assert found["dice"].item() == pytest.approx(5 * expected["loss_dice"].item(), rel=1e-5)


def test_each_row_is_matched_as_scipy_assigns_it():
    levels = [[0.5, -3.0, 2.0, 1.0], [2.0, 0.5, -1.0, -3.0]]
    target = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)])  # (2, 1, 8, 8)
    expected = [
        linear_sum_assignment(flat_costs(row, label, 100)[:, None])[0][0]
        for row, label in zip(levels, (1, 0), strict=True)
    ]
    assert expected == [2, 3]
    assert best_queries(torch.cat([flat(*row) for row in levels]), target, FLAT).tolist() == expected


@pytest.mark.parametrize(("bce", "dice", "fits"), [(5.0, 5.0, 1), (5.0, 1.0, 0), (1.0, 5.0, 1), (1.0, 0.0, 0)])
def test_bce_and_dice_count_in_the_match_by_the_weights_of_their_losses(bce, dice, fits):
    """Of eight columns one is target. All at -2: BCE 0.38, Dice 0.87. Two at 4, the rest at -4: BCE 0.52, Dice 0.36."""
    target, wide = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), -4.0)
    target[..., :1], wide[..., :2] = 1.0, 4.0
    config = PsalmLossConfig(bce=bce, dice=dice)
    assert best_queries(torch.cat([flat(-2.0), wide], dim=1), target, config).tolist() == [fits]


@pytest.mark.parametrize(("side", "fits"), [(LEFT, 1), (1 - LEFT, 2)])
def test_the_query_that_fits_is_matched(side, fits):
    assert best_queries(proposals(), side, CONFIG).tolist() == [fits]


@pytest.mark.parametrize("scores", [[-20.0, 20.0], [20.0, -20.0], [0.0, 0.0]])
def test_the_score_does_not_count_in_the_match(scores):
    """The public code comments its cost out: a hardly better mask wins against any score."""
    logits = flat(3.0, 2.999).requires_grad_()
    found = match_losses([logits], [torch.tensor([scores])], torch.ones(1, 8, 8), FLAT)
    found["mask"].backward()
    assert [bool(query.abs().sum() > 0) for query in logits.grad[0]] == [True, False]


def test_each_step_is_matched_on_its_own():
    steps = [flat(3.0, -3.0).requires_grad_(), flat(-3.0, 3.0).requires_grad_()]
    found = match_losses(steps, [torch.zeros(1, 2)] * 2, torch.ones(1, 8, 8), FLAT)
    found["mask"].backward()
    learned = [[bool(query.abs().sum() > 0) for query in step.grad[0]] for step in steps]
    assert learned == [[True, False], [False, True]]


def test_ten_steps_weigh_alike_and_each_loss_has_its_published_weight():
    """At a flat logit of 0 every BCE is ln 2; 3 negatives weigh as much as the positive, 3 times; ten steps."""
    found = match_losses([flat(0.0, 0.0, 0.0, 0.0)] * 10, [torch.zeros(1, 4)] * 10, torch.ones(1, 8, 8), FLAT)
    assert found["score"].item() == pytest.approx(10 * 2 * (3 + 3) / 4 * math.log(2), rel=1e-5)
    assert found["mask"].item() == pytest.approx(10 * 5 * math.log(2), rel=1e-5)
    assert found["dice"].item() == pytest.approx(10 * 5 * (1 - (2 * 50 + 1) / (50 + 100 + 1)), rel=1e-5)


def test_positives_weigh_as_much_as_all_negatives():
    """(N - n) / n counts queries and targets of the whole batch: 8 and 2, so the weight is 3."""
    scores = torch.zeros(2, 4)
    scores[:, 1] = 1.0
    chosen = torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 2)
    expected = (2 * 3 * math.log(1 + math.exp(-1)) + 6 * math.log(2)) / 8
    assert score_loss(scores, chosen).item() == pytest.approx(expected, rel=1e-6)


def test_only_the_matched_query_learns_the_mask():
    logits = proposals().requires_grad_()
    found = match_losses([logits], [torch.tensor([[-20.0, 20.0, -20.0]])], LEFT[:, 0])
    assert found["score"].item() == pytest.approx(0, abs=1e-6)
    (found["mask"] + found["dice"]).backward()
    assert [bool(query.abs().sum() > 0) for query in logits.grad[0]] == [False, True, False]


def test_an_empty_target_asks_for_low_scores_and_for_no_mask():
    logits = proposals().requires_grad_()
    found = match_losses([logits], [torch.zeros(1, 3)], torch.zeros(1, 8, 8))
    assert found["score"].item() == pytest.approx(2 * math.log(2), rel=1e-6)
    assert found["mask"].item() == found["dice"].item() == 0
    found["mask"].backward()
    assert logits.grad.abs().sum() == 0
