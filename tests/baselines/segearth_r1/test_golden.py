"""Agreement with the reference implementation at a small configuration (../shared/goldens/segearth_r1)."""

import hashlib
import json
import zlib

import numpy as np
import pytest
import torch
from transformers import PhiConfig

from baselines.common.prompt import IMAGE_ID, Piece, join_pieces
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.conversion import convert_state
from baselines.segearth_r1.modeling import SegEarthR1Model
from tests.conftest import SHARED

GOLDENS = SHARED / "goldens" / "segearth_r1"


@pytest.fixture(scope="module")
def golden():
    if not GOLDENS.is_dir():
        pytest.skip("../shared/goldens is not here")
    return json.loads((GOLDENS / "tiny.json").read_text()), dict(np.load(GOLDENS / "tiny.npz"))


def fill(name, shape, salt):
    """The weights of the golden run, defined by name and salt (goldens/README.md)."""
    z = np.random.RandomState(zlib.crc32((salt + name).encode())).standard_normal(shape)
    if name.endswith("weight") and len(shape) in (1, 3):
        z = 1 + 0.1 * z
    elif name.endswith("bias"):
        z = (2.0 if name.endswith("sampling_offsets.bias") else 0.02) * z
    elif name.endswith("relative_position_bias_table"):
        z = 0.5 * z
    else:
        z = z / np.sqrt(max(1, np.prod(shape[1:])))
    return z.astype(np.float32)


def tiny_config(facts):
    swin, phi = facts["swin"], facts["phi"]
    text = PhiConfig(
        vocab_size=phi["vocab_size"],
        hidden_size=phi["hidden_size"],
        intermediate_size=phi["intermediate_size"],
        num_hidden_layers=phi["num_hidden_layers"],
        num_attention_heads=phi["num_attention_heads"],
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": phi["partial_rotary_factor"],
        },
    )
    return SegEarthR1Config(
        text_config=text,
        image_size=facts["image_size"],
        vision_dim=swin["embed_dim"],
        vision_depths=swin["depths"],
        vision_heads=swin["num_heads"],
        window_size=swin["window_size"],
        decoder_dim=facts["mask_dim"],
        pixel_decoder_layers=facts["pixel_decoder_encoder_layers"],
        mask_decoder_layers=facts["transformer_decoder_layers"],
        seg_token_id=0,
    )


@pytest.fixture(scope="module")
def model(golden):
    facts, _ = golden
    config = tiny_config(facts)
    model = SegEarthR1Model(config).eval()
    published = []
    for name, entry in facts["state_dict"].items():
        if name.endswith("relative_position_index"):
            published.append((name, torch.zeros(entry["shape"], dtype=torch.int64)))
            continue
        values = fill(name, entry["shape"], facts["salt"])
        assert hashlib.sha256(values.tobytes()).hexdigest().startswith(entry["sha256"]), name
        published.append((name, torch.from_numpy(values)))
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state, report = convert_state(published, expected, config)
    report.check("the golden run", "SegEarth-R1")
    assert len(report.dropped) == 13 + sum(name.endswith("relative_position_index") for name, _ in published)
    model.load_state_dict(state, strict=True)
    return model


def batch_of(facts, arrays, visual_tokens, reply=True):
    """The golden ids with the placeholders filled in, padded on the right."""
    special = facts["special_ids"]
    prompts = []
    for row, ids in enumerate(arrays["input_ids"].tolist()):
        pieces = []
        for token in ids:
            if token == special["refer"]:
                pieces.append(Piece(arrays[f"refer_{row}"].tolist(), is_question=True))
                if not reply:
                    break
            else:
                filled = {
                    special["image"]: [IMAGE_ID] * visual_tokens,
                    special["seg"]: [],
                    special["answer"]: arrays[f"answer_{row}"].tolist(),
                }
                pieces.append(Piece(filled.get(token, [token])))
        prompts.append(join_pieces(pieces))
    length = max(len(prompt) for prompt in prompts)
    pad = [length - len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor([p.input_ids + [0] * n for p, n in zip(prompts, pad, strict=True)]),
        "question_mask": torch.tensor([p.question + [False] * n for p, n in zip(prompts, pad, strict=True)]),
        "attention_mask": torch.tensor([[1] * len(p) + [0] * n for p, n in zip(prompts, pad, strict=True)]),
    }


@pytest.fixture(scope="module")
def run(model, golden):
    facts, arrays = golden
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(arrays["image_lowres"]), size=1024, mode="bilinear", align_corners=False
    )
    batch = batch_of(facts, arrays, model.config.visual_tokens)
    with torch.no_grad():
        features = model.vision_tower(pixels)
        image = model.encode_image(pixels)
        output = model(image=image, **batch)
    return features, image, output, batch


def assert_close(found, expected, what):
    error = np.abs(found.numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"{what}: relative error {error:.2e}"


def test_image_features_agree(run, golden):
    features, image, _, _ = run
    arrays = golden[1]
    for level, found in enumerate(features):
        assert_close(found[:, ::16, ::4, ::4], arrays[f"res{level + 2}_strided"], f"res{level + 2}")
    assert_close(image.visual_tokens, arrays["visual_tokens"], "visual tokens")
    assert_close(image.mask_features[:, ::16, ::8, ::8], arrays["mask_features_strided"], "mask features")
    for level, memory in enumerate(image.memories):
        assert_close(memory[:, ::16, ::4, ::4], arrays[f"multi_scale_{level}_strided"], f"memory {level}")


def test_language_states_and_query_agree(run, golden):
    _, _, output, batch = run
    arrays = golden[1]
    valid = batch["attention_mask"].bool()
    length = valid.shape[1]
    assert arrays["hidden_states"].shape[1] >= length
    assert_close(output.hidden_states[valid], arrays["hidden_states"][:, :length][valid.numpy()], "hidden states")
    assert_close(output.description_embedding, arrays["description_embedding"], "query")


def test_masks_agree(run, golden):
    _, _, output, _ = run
    arrays = golden[1]
    assert_close(output.mask_logits.unsqueeze(1), arrays["mask_logits"], "mask logits")
    for step, logits in enumerate(output.auxiliary_logits):
        assert_close(logits.unsqueeze(1)[:, :, ::8, ::8], arrays[f"aux_{step}_logits_strided"], f"auxiliary {step}")
    masks = torch.nn.functional.interpolate(output.mask_logits.unsqueeze(1), size=1024, mode="bilinear") > 0
    expected = np.unpackbits(arrays["final_mask_packed"], axis=1).reshape(2, 1024, 1024).astype(bool)
    assert (masks[:, 0].numpy() != expected).mean() < 1e-4


def test_the_mask_does_not_depend_on_the_reply(model, run, golden):
    _, image, output, _ = run
    facts, arrays = golden
    with torch.no_grad():
        without = model(image=image, **batch_of(facts, arrays, model.config.visual_tokens, reply=False))
    assert_close(without.mask_logits, output.mask_logits.numpy(), "logits without the reply")
