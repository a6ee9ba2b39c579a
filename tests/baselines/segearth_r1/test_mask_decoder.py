"""Masked attention has finite values and gradients, whatever the current mask is."""

import pytest
import torch
from torch.nn import functional as F

from baselines.segearth_r1.mask_decoder import DecoderLayer, MaskDecoder
from baselines.segearth_r1.tiny import tiny_config


def decoder():
    torch.manual_seed(0)
    return MaskDecoder(tiny_config(300, 1, 128))


def blocked_of(logits):
    return decoder()._blocked(torch.tensor(logits).view(1, 1, 2, 2), torch.Size((2, 2)))


def test_positions_outside_the_mask_are_blocked_unless_all_are():
    # A sigmoid below one half is outside; 0 itself is inside.
    assert blocked_of([1.0, -1.0, 0.0, -1e4])[0, 0].tolist() == [False, True, False, True]
    assert not blocked_of([-1.0, -1.0, -2.0, -1e4]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("open_positions", [1, 63, 64])
def test_a_layer_has_finite_gradients_with_all_but_a_few_positions_blocked(dtype, open_positions):
    torch.manual_seed(0)
    layer, blocked = DecoderLayer(64, 4, 128), torch.ones(8, 1, 64, dtype=torch.bool)
    blocked[:, :, :open_positions] = False
    query, keys, values = (torch.randn(2, n, 64, requires_grad=True) for n in (1, 64, 64))
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        output = layer(query, 100 * keys, 100 * values, blocked)
    output.float().square().sum().backward()
    parts = [query, keys, values, *layer.parameters()]
    assert all(part.grad.isfinite().all() for part in parts)
    assert (keys.grad[:, open_positions:] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_the_decoder_has_finite_gradients_for_flat_and_for_large_features(dtype, scale):
    torch.manual_seed(0)
    model = decoder()
    query = scale * torch.randn(2, 1, 64)
    features = (scale * torch.randn(2, 64, 32, 32)).requires_grad_()
    memories = [(scale * torch.randn(2, 64, side, side)).requires_grad_() for side in (4, 8, 16)]
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        logits, _ = model(query, features, memories)
    loss = sum(F.binary_cross_entropy_with_logits(step.float(), torch.zeros_like(step.float())) for step in logits)
    loss.backward()
    assert loss.isfinite()
    assert all(part.grad.isfinite().all() for part in (features, *memories))
