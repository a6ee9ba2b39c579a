import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import PhiConfig

from baselines.common.conversion import read_arrays
from baselines.common.languages import byte_tokenizer
from baselines.common.processing import add_tokens
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.conversion import (
    UNUSED,
    convert_published,
    convert_state,
    our_name,
    split_fused,
)
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.tiny import tiny_config
from earthreason.errors import EarthReasonError
from tests.conftest import SHARED, Bomb

FULL = SHARED / "goldens" / "segearth_r1" / "state_dict_full.json"


def published_name(ours):
    """The inverse of `our_name`, found by trying; every pattern of the table is used by some tensor."""
    pairs = [
        ("vision_tower.", "model.vision_tower."),
        ("connector.", "model.mm_projector."),
        ("language_model.", "model."),
        ("description.embedding_projector.", "origin_SEG_token_projector."),
        ("description.text_projector.", "text_projector."),
        ("description.image_projector.", "local_project."),
        ("description.fusion.", "SEG_token_projector."),
        ("description.d_projector.norm_image.", "d_layers.layers.0.0.norm_media."),
        ("description.d_projector.norm_latent.", "d_layers.layers.0.0.norm_latents."),
        ("description.d_projector.feed_forward.", "d_layers.layers.0.1."),
        ("description.d_projector.norm.", "d_layers.norm."),
        ("description.d_projector.", "d_layers.layers.0.0."),
        ("pixel_decoder.level_embed", "pixel_decoder.transformer.level_embed"),
        ("pixel_decoder.layers.", "pixel_decoder.transformer.encoder.layers."),
        ("pixel_decoder.lateral.", "pixel_decoder.adapter_1."),
        ("pixel_decoder.output.", "pixel_decoder.layer_1."),
        ("mask_decoder.norm.", "predictor.decoder_norm."),
        ("mask_decoder.level_embed", "predictor.level_embed.weight"),
        ("mask_decoder.mask_embed.0.", "predictor.mask_embed.layers.0."),
        ("mask_decoder.mask_embed.2.", "predictor.mask_embed.layers.1."),
        ("mask_decoder.mask_embed.4.", "predictor.mask_embed.layers.2."),
    ]
    parts = ours.split(".")
    if ours.startswith("mask_decoder.layers."):
        number, module, rest = parts[2], parts[3], ".".join(parts[4:])
        kinds = {
            "cross_attention": f"cross_attention_layers.{number}.multihead_attn.{rest}",
            "cross_norm": f"cross_attention_layers.{number}.norm.{rest}",
            "self_attention": f"self_attention_layers.{number}.self_attn.{rest}",
            "self_norm": f"self_attention_layers.{number}.norm.{rest}",
            "ffn_norm": f"ffn_layers.{number}.norm.{rest}",
        }
        return "predictor.transformer_" + kinds.get(module, f"ffn_layers.{number}.{module}.{rest}")
    for own, theirs in pairs:
        if ours.startswith(own):
            return theirs + ours[len(own) :]
    return ours


def phi_model(seed=0):
    torch.manual_seed(seed)
    config = tiny_config(259, 258)
    config.text_config = PhiConfig(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )
    return SegEarthR1Model(config).eval()


def as_published(model):
    """A model's tensors under the published names, with attention fused and the unused tensors added."""
    heads = model.config.text_config.num_attention_heads
    state, fused = {}, {}
    for name, tensor in model.state_dict().items():
        prefix, _, rest = name.rpartition(".self_attn.")
        projection, _, kind = rest.partition(".")
        if name.startswith("language_model.") and projection in ("q_proj", "k_proj", "v_proj"):
            fused.setdefault((prefix, kind), {})[projection[0]] = tensor
        else:
            state[published_name(name)] = tensor.clone()
    for (prefix, kind), parts in fused.items():
        rows = [parts[p].view(heads, -1, *parts[p].shape[1:]) for p in "qkv"]
        joined = torch.stack(rows, dim=1).reshape(-1, *parts["q"].shape[1:])
        state[f"{published_name(prefix + '.')}self_attn.query_key_value.{kind}"] = joined.contiguous()
    state["seg_query"] = torch.zeros(100, 64)
    state["predictor.query_feat.weight"] = torch.zeros(100, 64)
    state["predictor.SEG_proj.layers.0.bias"] = torch.zeros(64)
    return state


def write_published(folder, model):
    folder.mkdir()
    save_file(as_published(model), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_phi"}))
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    tokenizer.save_pretrained(folder)
    model.config.save_pretrained(folder.parent / "ours")
    return SegEarthR1Config.from_json_file(folder.parent / "ours" / "config.json")


@pytest.fixture(scope="module")
def full_names():
    if not FULL.is_file():
        pytest.skip("../shared/goldens is not here")
    return {name: tuple(shape) for name, shape in json.loads(FULL.read_text())["tensors"].items()}


def test_every_tensor_of_the_full_size_checkpoint_has_its_place(full_names):
    assert len(full_names) == 935
    config = SegEarthR1Config()
    with torch.device("meta"):
        model = SegEarthR1Model(config)
    published = [(name, torch.empty(shape, device="meta")) for name, shape in full_names.items()]
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state, report = convert_state(published, expected, config)
    report.check("the full-size list", "SegEarth-R1")
    assert state.keys() == expected.keys()
    assert len(report.dropped) == 13 + 24
    unused = sum(np.prod(full_names[name]) for name in report.dropped if "relative" not in name)
    assert sum(p.numel() for p in model.parameters()) == 1_588_495_416 - unused


def test_a_published_checkpoint_gives_the_same_masks_after_conversion(tmp_path):
    model = phi_model()
    config = write_published(tmp_path / "published", model)
    report = convert_published(tmp_path / "published", tmp_path / "converted", config=config)
    assert len(report.dropped) == 3
    predictor = SegEarthR1Predictor.from_pretrained(tmp_path / "converted")
    loaded = predictor.model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())
    assert loaded.keys() == model.state_dict().keys()


def test_a_checkpoint_that_does_not_fit_is_refused_with_a_list_and_nothing_is_written(tmp_path):
    model = phi_model()
    config = write_published(tmp_path / "published", model)
    state = as_published(model)
    state["stranger.weight"] = torch.zeros(2)
    state["text_projector.bias"] = torch.zeros(3)
    del state["local_project.bias"]
    save_file(state, tmp_path / "published" / "model.safetensors")
    with pytest.raises(EarthReasonError) as error:
        convert_published(tmp_path / "published", tmp_path / "converted", config=config)
    message = str(error.value)
    assert "stranger.weight" in message
    assert "text_projector.bias: found (3,), expected (64,)" in message
    assert "1 tensors missing: description.image_projector.bias" in message
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize("damage", ["no weights", "cut off", "no folder", "no tokenizer", "target exists"])
def test_broken_sources_are_named(tmp_path, damage):
    config = write_published(tmp_path / "published", phi_model())
    source, target = tmp_path / "published", tmp_path / "converted"
    weights = source / "model.safetensors"
    if damage == "no weights":
        weights.unlink()
    elif damage == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "no folder":
        source = tmp_path / "elsewhere"
    elif damage == "no tokenizer":
        for path in source.glob("token*"):
            path.unlink()
    else:
        target.mkdir()
        (target / "mine.txt").write_text("keep")
    with pytest.raises(EarthReasonError):
        convert_published(source, target, config=config)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    if damage == "target exists":
        assert (target / "mine.txt").read_text() == "keep"


def test_fused_rows_are_split_head_by_head():
    fused = torch.arange(2 * 3 * 2 * 5).view(12, 5)  # two heads of two rows
    q, k, v = split_fused(fused, heads=2)
    assert q[:, 0].tolist() == [0, 5, 30, 35]
    assert k[:, 0].tolist() == [10, 15, 40, 45]
    assert v[:, 0].tolist() == [20, 25, 50, 55]


def test_names_round_trip():
    for name in phi_model().state_dict():
        assert our_name(published_name(name)) == name
        assert not UNUSED.fullmatch(published_name(name))


@pytest.mark.parametrize("content", ["bomb", [1, 2], {"model": {"a": "text"}}, b"not a pickle"])
def test_a_pickle_that_is_not_a_table_of_arrays_is_refused_and_runs_nothing(tmp_path, content):
    path = tmp_path / "weights.pkl"
    content = {"model": {"a": Bomb(tmp_path / "ran")}} if content == "bomb" else content
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises(EarthReasonError):
        read_arrays(path)
    assert not (tmp_path / "ran").exists()
