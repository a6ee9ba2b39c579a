"""Image encoders besides Swin give the features of their own libraries, and can be trained, saved and loaded."""

import json

import numpy as np
import pytest
import torch
from transformers import (
    AutoBackbone,
    AutoConfig,
    AutoModel,
    ConvNextConfig,
    DINOv3ViTConfig,
    SiglipConfig,
    SiglipVisionConfig,
)

from baselines.common.efficientnet import CHANNELS, EfficientNetLite0
from baselines.common.encoders import LITE0, load_encoder, make_encoder
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import make_tiny
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from baselines.training.optimizer import vision_distances
from earthreason.errors import EarthReasonError

SIDE = 128
PUBLISHED = (  # means of channels 0, 5 and -1, deviation, and value of channel 3 at the last pixel
    ((-1.192122, 0.484115, 1.435647), 2.036334, 1.707453),
    ((0.395027, -0.747006, 4.214852), 2.821099, 1.673937),
    ((-3.434356, -1.819664, 0.633451), 3.504454, 0.373449),
    ((-1.782789, 0.220397, 0.742855), 2.395714, 2.431188),
)
"""Results of efficientnet-lite-pytorch 0.1.0 (blocks 2, 4, 10, 15) for the weights and pixels of `numbered`."""


def numbered(shapes):
    """Weights drawn from RandomState(0) in the order of the published file."""
    rng, weights = np.random.RandomState(0), {}
    for name, shape in shapes.items():
        drawn = rng.standard_normal(shape)
        if name.endswith("running_var"):
            drawn = np.abs(drawn) + 0.5
        elif len(shape) == 4:
            drawn *= (2 / np.prod(shape[1:])) ** 0.5
        elif name.endswith(("bias", "mean")):
            drawn *= 0.1
        else:
            drawn = 1 + 0.1 * drawn
        weights[name] = torch.tensor(drawn, dtype=torch.float32)
    return weights


def statistics(model):
    return {name: tuple(v.shape) for name, v in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def test_lite0_gives_the_features_of_the_package_that_published_it():
    model = EfficientNetLite0().eval()
    model.load_published(numbered(statistics(model)))
    pixels = torch.tensor(np.random.RandomState(1).standard_normal((1, 3, 96, 96)), dtype=torch.float32)
    with torch.no_grad():
        features = model(pixels)
    assert [tuple(f.shape[1:]) for f in features] == [(24, 24, 24), (40, 12, 12), (112, 6, 6), (320, 3, 3)]
    for (found,), (means, deviation, corner) in zip(features, PUBLISHED, strict=True):
        assert [float(found[c].mean()) for c in (0, 5, -1)] == pytest.approx(means, abs=2e-5)
        assert float(found.double().std()) == pytest.approx(deviation, abs=1e-5)
        assert float(found[3, -1, -1]) == pytest.approx(corner, abs=2e-5)


def test_lite0_refuses_weights_of_another_network():
    model = EfficientNetLite0()
    weights = numbered(statistics(model))
    with pytest.raises(ValueError, match="10 tensors instead of"):
        model.load_published(dict(list(weights.items())[:10]))
    first = next(iter(weights))
    with pytest.raises(ValueError, match=r"\(7, 3, 3, 3\) instead of \(32, 3, 3, 3\)"):
        model.load_published({**weights, first: torch.zeros(7, 3, 3, 3)})


def test_batch_norms_of_lite0_keep_their_statistics_in_training():
    model = EfficientNetLite0().train()
    before = model.stem[1].running_mean.clone()
    model(torch.randn(2, 3, SIDE, SIDE))
    assert torch.equal(model.stem[1].running_mean, before)
    assert model.stem[1].weight.requires_grad


def convnext():
    return ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])


def dinov3():
    return DINOv3ViTConfig(
        hidden_size=32, num_hidden_layers=8, num_attention_heads=2, intermediate_size=48, image_size=64, patch_size=16
    )


def siglip():
    return SiglipVisionConfig(
        hidden_size=32, num_hidden_layers=8, num_attention_heads=2, intermediate_size=48, image_size=64, patch_size=16
    )


def test_the_maps_of_a_model_with_several_resolutions_are_its_own():
    config = convnext()
    config.out_features = ["stage1", "stage2", "stage3", "stage4"]
    own = AutoBackbone.from_config(config).eval()
    encoder = make_encoder(convnext().to_dict())
    encoder.body.load_state_dict(own.state_dict())
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        for found, expected in zip(encoder.eval()(pixels), own(pixels).feature_maps, strict=True):
            torch.testing.assert_close(found, expected)


def test_a_model_with_one_resolution_gives_states_of_four_depths_at_four_strides():
    own = AutoModel.from_config(siglip()).eval()
    encoder = make_encoder(siglip().to_dict()).eval()
    encoder.body.load_state_dict(own.state_dict())
    pixels = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        states = own(pixels, output_hidden_states=True, interpolate_pos_encoding=True).hidden_states
        maps = encoder(pixels)
    assert [m.shape[-1] for m in maps] == [32, 16, 8, 4]
    # The grid of patches of 16 px is 8 x 8, so the third map is the states after layer 6 of 8, row by row.
    torch.testing.assert_close(maps[2][0, :, 1, 3], states[6][0, 8 + 3])
    # Twice as coarse, each value is the mean of four neighbours.
    grid = states[8][0].view(8, 8, 32)
    torch.testing.assert_close(maps[3][0, :, 0, 0], grid[:2, :2].mean((0, 1)))


@pytest.mark.parametrize("make", [convnext, dinov3], ids=["ConvNeXt", "DINOv3"])
def test_a_pretrained_model_from_a_folder_trains_saves_and_loads(make, tmp_path):
    config = make()
    own = AutoModel.from_config(config)
    own.save_pretrained(tmp_path / "own")
    statistics = {"image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "own" / "preprocessor_config.json").write_text(json.dumps(statistics))
    settings = {"size": "mini", "image_size": SIDE, "vision": str(tmp_path / "own"), "freeze_vision": False}
    learner = build_learner(TrainConfig.model_validate({"model": settings}), list)
    assert learner.model.config.image_mean == (127.5, 63.75, 31.875)
    # A backbone has norms of its own after each stage, instead of the one of a classifier.
    given = {name: v for name, v in own.state_dict().items() if not name.startswith("layernorm.")}
    kept = [name for name in given if torch.equal(given[name], _of(learner.model, name))]
    assert len(kept) == len(given)
    learner.save(learner.model, tmp_path / "made")
    again = SegEarthR1Predictor.from_pretrained(tmp_path / "made").model
    pixels = torch.randint(0, 255, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(
            again.encode_image(pixels).mask_features, learner.model.eval().encode_image(pixels).mask_features
        )
    distances = vision_distances(again)
    assert len(set(distances.values())) > 4  # the rate differs between stages or layers


def _of(model, name):
    tower = model.vision_tower.body.state_dict()
    return next((value for key, value in tower.items() if key.endswith(name)), torch.empty(0))


def test_the_vision_part_of_a_model_of_images_and_texts_is_used(tmp_path):
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = SiglipConfig(text_config=text, vision_config=siglip().to_dict())
    own = AutoModel.from_config(config)
    own.save_pretrained(tmp_path)
    found = load_encoder(str(tmp_path))
    assert found.settings["encoder"]["model_type"] == "siglip_vision_model"
    assert found.settings["encoder_channels"] == (32, 32, 32, 32)
    assert "image_mean" not in found.settings
    for name, value in own.vision_model.state_dict().items():
        [loaded] = [tensor for key, tensor in found.weights.items() if key.endswith(name)]
        assert torch.equal(loaded, value)


def test_an_encoder_without_weights_or_of_no_use_is_one_clear_line(tmp_path):
    with pytest.raises(EarthReasonError, match="no image encoder can be loaded") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)
    AutoConfig.for_model("llama", hidden_size=32, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(EarthReasonError, match="no image encoder can be loaded"):
        load_encoder(str(tmp_path))
    broken = tmp_path / "weights.pth"
    broken.write_bytes(b"not weights")
    with pytest.raises(EarthReasonError, match="not the weights of EfficientNet-Lite0"):
        load_encoder(str(broken))


def test_a_model_with_lite0_answers_and_keeps_its_configuration(tmp_path):
    model, processor = make_tiny(image_size=SIDE, encoder={"model_type": LITE0}, encoder_channels=CHANNELS)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    predictor = SegEarthR1Predictor.from_pretrained(tmp_path)
    assert isinstance(predictor.model.vision_tower, EfficientNetLite0)
    assert predictor.model.config.vision_channels == CHANNELS


@pytest.mark.parametrize("name", ["lisa", "pixellm"])
def test_models_with_encoders_of_their_own_refuse_another(name):
    config = TrainConfig.model_validate({"model": {"name": name, "size": "mini", "vision": LITE0}})
    with pytest.raises(EarthReasonError, match="has its own image encoder"):
        build_learner(config, list)


@pytest.mark.parametrize("content", [b"", b"junk" * 50])
def test_an_empty_or_foreign_weight_file_is_one_clear_line(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(EarthReasonError, match=r"weights\.pth is not a file of weights"):
        load_encoder(str(tmp_path / "weights.pth"))


def test_lite0_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    weights = EfficientNetLite0().state_dict()
    weights["stem.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(EarthReasonError, match=r"stem\.0\.weight has values that are not finite"):
        load_encoder(str(tmp_path / "weights.pth"))


def test_a_text_model_with_weights_is_no_image_encoder(tmp_path):
    config = AutoConfig.for_model("gpt2", n_layer=1, n_embd=16, n_head=2, vocab_size=50, bos_token_id=0, eos_token_id=0)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(EarthReasonError, match="gpt2 does not take images"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(
    "statistics", ['"image_std": [0, 0, 0]', '"image_std": "x"', '"image_mean": [0.5]', '"image_mean": [NaN, 0, 0]']
)
def test_pixel_statistics_that_cannot_normalise_are_refused(tmp_path, statistics):
    AutoModel.from_config(siglip()).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(f"{{{statistics}}}")
    with pytest.raises(EarthReasonError, match="preprocessor_config.json has the image_"):
        load_encoder(str(tmp_path))
