"""The two ways to sample deformable attention, and a sum worked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.segearth_r1.pixel_decoder import sample_by_bag, sample_by_grid

WAYS = [sample_by_bag, sample_by_grid]


@pytest.mark.parametrize("sample", WAYS)
def test_a_point_between_four_pixels_is_their_mean(sample):
    """One level of 2 x 2 pixels, values 1 to 4; the middle of the image touches all four alike."""
    value = torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)
    locations = torch.tensor([0.5, 0.5]).view(1, 1, 1, 1, 1, 2)
    assert sample(value, ((2, 2),), locations, torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(2.5)


@pytest.mark.parametrize("sample", WAYS)
def test_beyond_the_border_there_is_nothing(sample):
    """At x = 0 half a pixel's weight lies outside: half of (1 + 3) / 2."""
    value = torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)
    locations = torch.tensor([0.0, 0.5]).view(1, 1, 1, 1, 1, 2)
    assert sample(value, ((2, 2),), locations, torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(1.0)
    far = torch.tensor([3.0, -2.0]).view(1, 1, 1, 1, 1, 2)
    assert sample(value, ((2, 2),), far, torch.ones(1, 1, 1, 1, 1)).item() == 0


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3))
def test_both_ways_agree_on_any_levels(seed, shapes):
    generator = torch.Generator().manual_seed(seed)
    positions, levels = sum(height * width for height, width in shapes), len(shapes)
    value = torch.randn(2, positions, 3, 5, generator=generator)
    locations = torch.rand(2, 7, 3, levels, 4, 2, generator=generator) * 1.6 - 0.3
    weights = torch.rand(2, 7, 3, levels, 4, generator=generator)
    found, expected = (sample(value, tuple(shapes), locations, weights) for sample in WAYS)
    assert torch.allclose(found, expected, atol=1e-5)


def test_both_ways_have_the_same_gradients():
    shapes = ((3, 4), (6, 8))
    torch.manual_seed(0)
    parts = [torch.randn(1, 60, 2, 4), torch.rand(1, 5, 2, 2, 3, 2) * 1.2 - 0.1, torch.rand(1, 5, 2, 2, 3)]
    gradients = []
    for sample in WAYS:
        value, locations, weights = (part.clone().requires_grad_() for part in parts)
        sample(value, shapes, locations, weights).square().sum().backward()
        gradients.append((value.grad, locations.grad, weights.grad))
    for found, expected in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
