"""Integers with a scale per row: worked values, the largest error, and a model that is saved like any other."""

import json

import numpy as np
import pytest
import torch

from baselines.common.quantised import FILE, quantise_rows, restore_rows, save_quantised
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from earthreason.errors import EarthReasonError


@pytest.fixture
def folder(tmp_path):
    model, processor = make_tiny()
    save_quantised(model, tmp_path / "small")
    processor.save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def test_rows_by_hand():
    # 1.27 / 127 = 0.01 and 254 / 127 = 2; a row of zeros stays zero
    weight = torch.tensor([[0.5, -1.27, 0.0], [254.0, 3.2, -100.0], [0.0, 0.0, 0.0]])
    integers, scale = quantise_rows(weight)
    assert integers.dtype == torch.int8
    assert integers.tolist() == [[50, -127, 0], [127, 2, -50], [0, 0, 0]]
    assert scale.tolist() == pytest.approx([0.01, 2.0, 0.0])
    assert restore_rows(integers, scale).tolist()[1] == [254.0, 4.0, -100.0]


def test_a_convolution_has_one_scale_per_output_channel():
    integers, scale = quantise_rows(torch.full((2, 3, 4, 4), 5.0))
    assert (integers.shape, scale.shape) == ((2, 3, 4, 4), (2,))
    assert torch.equal(restore_rows(integers, scale), torch.full((2, 3, 4, 4), 5.0))


def test_no_restored_weight_is_off_by_more_than_half_a_step(folder):
    restored = dict(SegEarthR1Predictor.from_pretrained(folder).model.named_parameters())
    for name, tensor in make_tiny()[0].named_parameters():
        made, read = tensor.detach().numpy(), restored[name].detach().numpy()
        if made.ndim > 1 and made.size >= 4096:
            rows = made.reshape(len(made), -1)
            allowed = np.abs(rows).max(1, keepdims=True) / 127 / 2 * 1.001
            assert (np.abs(rows - read.reshape(rows.shape)) <= allowed).all(), name
        else:
            np.testing.assert_allclose(read, made, rtol=2**-8)  # bfloat16 keeps eight bits


def test_a_restored_model_is_saved_like_any_other(folder, tmp_path):
    predictor = SegEarthR1Predictor.from_pretrained(folder)
    predictor.model.save_pretrained(tmp_path / "again")
    predictor.processor.save_pretrained(tmp_path / "again")
    assert "row_quantised" not in json.loads((tmp_path / "again" / "config.json").read_text())
    SegEarthR1Predictor.from_pretrained(tmp_path / "again")


@pytest.mark.parametrize("break_it", [lambda path: path.unlink(), lambda path: path.write_bytes(b"junk")])
def test_broken_weights_are_one_line(folder, break_it):
    break_it(folder / FILE)
    with pytest.raises(EarthReasonError, match="cannot be loaded") as caught:
        SegEarthR1Predictor.from_pretrained(folder)
    assert "\n" not in str(caught.value)
