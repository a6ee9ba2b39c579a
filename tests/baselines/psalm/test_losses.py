"""PSALM's match and losses on cases whose answer is known."""

import math

import pytest
import torch

from baselines.psalm.losses import SCORE, best_queries, match_losses, score_loss
from baselines.segearth_r1.losses import MaskLossConfig

CONFIG = MaskLossConfig()
LEFT = torch.zeros(1, 1, 8, 8)
LEFT[..., :4] = 1


def proposals():
    """Three queries for an 8 x 8 map: everything, the left half, the right half."""
    sides = torch.cat([torch.ones(1, 1, 8, 8), LEFT, 1 - LEFT], dim=1)
    return 20 * sides - 10


def test_the_query_that_fits_is_matched():
    assert best_queries(proposals(), torch.zeros(1, 3), LEFT, CONFIG).tolist() == [1]
    assert best_queries(proposals(), torch.zeros(1, 3), 1 - LEFT, CONFIG).tolist() == [2]


def test_among_equal_masks_the_higher_score_is_matched():
    twins = proposals()[:, [1, 1, 1]]
    assert best_queries(twins, torch.tensor([[0.0, 2.0, 1.0]]), LEFT, CONFIG).tolist() == [1]


def test_positives_weigh_as_much_as_all_negatives():
    found = score_loss(torch.zeros(1, 4), torch.tensor([[0.0, 1.0, 0.0, 0.0]]))
    assert found.item() == pytest.approx((3 * math.log(2) + 3 * math.log(2)) / 4, rel=1e-6)


def test_only_the_matched_query_learns_the_mask():
    logits = proposals().requires_grad_()
    found = match_losses([logits], [torch.tensor([[-20.0, 20.0, -20.0]])], LEFT[:, 0])
    assert found["score"].item() == pytest.approx(0, abs=1e-6)
    (found["mask"] + found["dice"]).backward()
    assert [bool(query.abs().sum() > 0) for query in logits.grad[0]] == [False, True, False]


def test_the_losses_of_several_steps_add_up():
    once, twice = (match_losses([proposals()] * n, [torch.zeros(1, 3)] * n, LEFT[:, 0]) for n in (1, 2))
    assert twice["score"].item() == pytest.approx(2 * once["score"].item())


def test_an_empty_target_asks_for_low_scores_and_for_no_mask():
    logits = proposals().requires_grad_()
    scores = torch.zeros(1, 3)
    found = match_losses([logits], [scores], torch.zeros(1, 8, 8))
    assert found["score"].item() == pytest.approx(SCORE * math.log(2), rel=1e-6)
    assert found["mask"].item() == found["dice"].item() == 0
    found["mask"].backward()
    assert logits.grad.abs().sum() == 0
