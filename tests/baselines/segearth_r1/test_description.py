"""The question's states become one query."""

import torch

from baselines.segearth_r1.description import mean_over


def test_the_mean_is_summed_in_float32_also_under_autocast():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 40, 64, generator=generator)
    selected = torch.rand(2, 40, generator=generator) > 0.5
    expected = torch.stack([row[chosen].double().mean(0) for row, chosen in zip(states, selected, strict=True)])
    with torch.autocast("cpu", torch.bfloat16):
        found = mean_over(states, selected)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-6)
