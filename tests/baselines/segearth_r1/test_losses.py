import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.common.losses import language_loss
from baselines.segearth_r1.losses import (
    MaskLossConfig,
    bce_loss,
    dice_loss,
    mask_losses,
    sample_points,
    uncertain_points,
)


def test_sampling_at_pixel_centres_gives_the_pixels():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    centres = torch.tensor([[[(x + 0.5) / 4, (y + 0.5) / 3] for y in range(3) for x in range(4)]])
    assert torch.allclose(sample_points(maps, centres), maps.flatten(1), atol=1e-5)


def test_half_way_between_two_pixels_is_their_mean():
    maps = torch.tensor([[[[0.0, 1.0]]]])
    assert sample_points(maps, torch.tensor([[[0.5, 0.5]]])).item() == pytest.approx(0.5)


@given(st.floats(-8, 8), st.sampled_from([0.0, 1.0]), st.integers(1, 50))
def test_losses_of_constant_maps_are_in_closed_form(logit, label, points):
    logits, labels = torch.full((2, points), logit), torch.full((2, points), label)
    p = 1 / (1 + math.exp(-logit))
    chosen = p if label else 1 - p
    assert bce_loss(logits, labels).item() == pytest.approx(-math.log(chosen), rel=1e-3, abs=1e-5)
    expected = 1 - (2 * points * p * label + 1) / (points * p + points * label + 1)
    assert dice_loss(logits, labels).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_uncertain_points_lie_where_the_logit_is_near_zero():
    torch.manual_seed(0)
    ramp = torch.linspace(-10, 10, 64).view(1, 1, 1, 64).expand(1, 1, 64, 64)
    points = uncertain_points(ramp, MaskLossConfig(points=400))
    near = (points[0, :300, 0] - 0.5).abs()
    assert points.shape == (1, 400, 2)
    assert near.max() < 0.2  # a quarter of the candidates: |x - 0.5| below an eighth, and a little
    assert (points[0, 300:, 0] - 0.5).abs().max() > 0.4


def test_the_total_is_the_sum_over_all_steps_with_its_weights():
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[:, :, :4] = 1
    flat = torch.zeros(1, 1, 8, 8)
    one = mask_losses([flat], masks, MaskLossConfig(points=64))
    three = mask_losses([flat] * 3, masks, MaskLossConfig(points=64, bce=10))
    assert one["mask"].item() == pytest.approx(5 * math.log(2), rel=1e-5)
    assert three["mask"].item() == pytest.approx(30 * math.log(2), rel=1e-5)


def test_any_value_but_zero_is_target():
    logits = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 8, 8, dtype=torch.uint8)
    mask[:, 2:5] = 1
    found = []
    for scale in (1, 255):
        torch.manual_seed(0)
        found.append(mask_losses([logits], mask * scale, MaskLossConfig(points=64)))
    assert found[0] == found[1]


def test_gradients_equal_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(2, 9, dtype=torch.double, requires_grad=True)
    labels = torch.rand(2, 9, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda x: bce_loss(x, labels), logits)
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, labels), logits)


def test_language_loss_counts_supervised_positions_only():
    logits = torch.zeros(1, 4, 10)
    logits[0, 1, 7] = 50.0
    labels = torch.tensor([[-100, -100, 7, -100]])

    assert language_loss(torch.nn.Identity(), logits, labels).item() == pytest.approx(0, abs=1e-5)
    uniform = language_loss(torch.nn.Identity(), torch.zeros(1, 4, 10), labels)
    assert uniform.item() == pytest.approx(math.log(10), rel=1e-5)
    assert language_loss(torch.nn.Identity(), logits, torch.full((1, 4), -100)).item() == 0


def test_language_loss_asks_the_head_about_learned_positions_only():
    labels = torch.tensor([[-100, -100, 7, 3], [-100, 2, -100, -100]])
    learned = torch.tensor([[1, 2], [0, 3]])  # the second row is filled up with its last position
    torch.manual_seed(0)
    states = torch.randn(2, 4, 10)
    seen = []

    def head(states):
        seen.append(states.shape[1])
        return states

    # By hand: the positions before a label are (0, 1), (0, 2) and (1, 0).
    expected = -(states.log_softmax(-1)[[0, 0, 1], [1, 2, 0], [7, 3, 2]]).mean()
    assert language_loss(head, states, labels, learned).item() == pytest.approx(expected.item(), rel=1e-6)
    assert language_loss(head, states, labels).item() == pytest.approx(expected.item(), rel=1e-6)
    assert seen == [2, 4]


def outer_share_by_numpy(logits, padding, points=20_000, seed=0):
    """Share of the most uncertain quarter of random points within half a pixel of the edge, by NumPy alone."""
    side = len(logits)
    padded = np.pad(logits, 1, mode="edge") if padding == "border" else np.pad(logits, 1)
    x, y = np.random.default_rng(seed).random((2, points)) * side + 0.5  # in pixels of the padded map, centres at whole
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - column, y - row
    upper = (1 - right) * padded[row, column] + right * padded[row, column + 1]
    lower = (1 - right) * padded[row + 1, column] + right * padded[row + 1, column + 1]
    chosen = np.argsort(np.abs((1 - down) * upper + down * lower))[: points // 4]
    outer = (np.minimum(x, y) < 1) | (np.maximum(x, y) > side)
    return outer[chosen].mean()


@pytest.mark.parametrize(("padding", "low", "high"), [("zeros", 0.11, 0.13), ("border", 0.0, 0.001)])
def test_zero_padding_makes_the_outer_half_pixel_look_uncertain_on_a_small_grid(padding, low, high):
    """A disc with a sharp edge on the 64 x 64 grid of a 256 px canvas; the outer half pixel is 3.1 % of its area.

    With zeros, all of it is among the most uncertain quarter: 12.4 %.
    """
    row, column = np.mgrid[:64, :64] - 31.5
    inside = 20 - np.hypot(row, column)
    logits = (8 * np.tanh(inside) + 0.01 * inside).astype(np.float32)
    expected = outer_share_by_numpy(logits, padding)
    config = MaskLossConfig(points=6666, uncertain_share=0.75, padding=padding)  # 4,999 of 19,998 candidates
    torch.manual_seed(0)
    points = uncertain_points(torch.from_numpy(logits)[None, None], config)[0, :4999] * 64
    found = ((points < 0.5) | (points > 63.5)).any(1).float().mean().item()
    assert low <= expected <= high
    assert found == pytest.approx(expected, abs=0.012)


def test_border_padding_keeps_the_value_of_the_edge_and_zeros_halve_it():
    maps, corner = torch.full((1, 1, 4, 4), 8.0), torch.tensor([[[0.0, 0.5], [0.0, 0.0], [0.5, 0.5]]])
    assert sample_points(maps, corner).tolist() == [[4.0, 2.0, 8.0]]
    assert sample_points(maps, corner, "border").tolist() == [[8.0, 8.0, 8.0]]


def test_dice_leaves_out_empty_targets_and_keeps_the_weight_of_the_others():
    # Logits of 0 everywhere: p = 1/2 at P points. Full target: 1 - (P + 1) / (1.5 P + 1). Empty: 1 - 1 / (P / 2 + 1).
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[0] = 1
    flat, points = torch.zeros(2, 1, 8, 8, requires_grad=True), 64
    full, empty = 1 - (points + 1) / (1.5 * points + 1), 1 - 1 / (0.5 * points + 1)
    config = {"points": points, "padding": "border"}  # the target is 1 up to the edge
    both = mask_losses([flat, flat], masks, MaskLossConfig(**config))
    assert both["dice"].item() == pytest.approx(2 * 5 * (full + empty) / 2, rel=1e-5)
    one = mask_losses([flat, flat], masks, MaskLossConfig(**config, dice_on_empty=False))
    assert one["dice"].item() == pytest.approx(2 * 5 * full / 2, rel=1e-5)
    one["dice"].backward()
    assert flat.grad[0].abs().sum() > 0
    assert flat.grad[1].abs().sum() == 0


@pytest.mark.parametrize("logit", [-1e4, -90.0, 0.0, 90.0, 1e4])
@pytest.mark.parametrize("target", [0, 1])
def test_losses_and_gradients_are_finite_for_extreme_logits_in_bfloat16(logit, target):
    logits = torch.full((2, 1, 8, 8), logit, dtype=torch.bfloat16, requires_grad=True)
    for options in ({}, {"padding": "border", "dice_on_empty": False}):
        losses = mask_losses([logits], torch.full((2, 8, 8), target), MaskLossConfig(points=32, **options))
        logits.grad = None
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert logits.grad.isfinite().all()
