"""Models assembled from parts that transformers wrote compute what the parts compute, train, and are strict."""

import json
import pickle
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common import assembly as assembly_module
from baselines.common.pixels import normalise, normalise_clip
from baselines.lisa.predictor import LisaPredictor
from baselines.pixellm.predictor import PixelLMPredictor
from baselines.psalm.predictor import PsalmPredictor
from baselines.registry import AssemblyOptions, assemble_checkpoint
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from earthreason.errors import EarthReasonError
from tests.baselines.original_names import as_pickled, original_name
from tests.baselines.parts import WORDS, randomise, save_clip, save_language, save_mask2former, save_sam

PREDICTORS = {
    "lisa": LisaPredictor,
    "pixellm": PixelLMPredictor,
    "psalm": PsalmPredictor,
    "segearth_r1": SegEarthR1Predictor,
}
NEEDS = {
    "lisa": {"llm": "llama", "clip": "clip", "sam": "sam"},
    "pixellm": {"llm": "llama", "clip": "deep_clip"},
    "psalm": {"llm": "phi", "mask2former": "mask2former"},
    "segearth_r1": {"llm": "phi", "mask2former": "mask2former"},
}
CONNECTOR = {"weight": torch.full((32, 24), 0.25), "bias": torch.arange(32.0)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Folder of the parts, and the models in them."""
    folder = tmp_path_factory.mktemp("parts")
    made = {
        "llama": save_language(folder / "llama"),
        "phi": save_language(folder / "phi", "phi"),
        "clip": save_clip(folder / "clip"),
        "deep_clip": save_clip(folder / "deep_clip", layers=12),
        "sam": save_sam(folder / "sam"),
        "mask2former": save_mask2former(folder / "mask2former"),
    }
    return folder, made


def assembled(name, folder, target, dtype="float32", **changes):
    sources = {part: str(folder / source) for part, source in NEEDS[name].items()}
    return assemble_checkpoint(name, AssemblyOptions(target, dtype, **{**sources, **changes}))


@pytest.fixture(scope="module")
def checkpoints(parts, tmp_path_factory):
    """Assembled checkpoints by the name of their model."""
    where = tmp_path_factory.mktemp("assembled")
    for name in NEEDS:
        assembled(name, parts[0], where / name)
    return where


def model_of(name, checkpoints):
    return PREDICTORS[name].from_pretrained(checkpoints / name).model


def pictures(side, batch=2):
    return torch.randint(0, 256, (batch, 3, side, side), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)


@pytest.mark.parametrize("name", ["lisa", "pixellm", "segearth_r1"])
def test_the_language_model_says_what_the_pretrained_one_says(name, parts, checkpoints):
    language = parts[1][NEEDS[name]["llm"]]
    ids = torch.tensor([[5, 9, 200, 31]])
    model = model_of(name, checkpoints)
    with torch.no_grad():
        states = model.language_model(input_ids=ids).last_hidden_state
        found = model.lm_head(states)[..., :WORDS]
        expected = language(input_ids=ids).logits
    bias = getattr(language.lm_head, "bias", None)
    assert torch.allclose(found, expected if bias is None else expected - bias, atol=1e-5)


@torch.no_grad()
def test_lisa_sees_what_clip_and_sam_see_and_decodes_as_sam_does(parts, checkpoints):
    clip, sam = parts[1]["clip"], parts[1]["sam"]
    model, pixels = model_of("lisa", checkpoints), pictures(128)
    image = model.encode_image(pixels)
    small = torch.nn.functional.interpolate(pixels.float(), size=(28, 28), mode="bilinear", antialias=True)
    seen = clip(normalise_clip(small), output_hidden_states=True).hidden_states[-2][:, 1:]
    assert torch.allclose(image.visual_tokens, model.projector(seen), atol=1e-5)
    assert torch.allclose(image.embeddings, sam.get_image_embeddings(normalise(pixels)), atol=1e-5)
    queries = torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(6))
    _, dense = sam.prompt_encoder(None, None, None, None)
    expected, _ = sam.mask_decoder(
        image_embeddings=image.embeddings,
        image_positional_embeddings=sam.get_image_wide_positional_embeddings().expand(2, -1, -1, -1),
        sparse_prompt_embeddings=queries.unsqueeze(1),
        dense_prompt_embeddings=dense.expand(2, -1, -1, -1),
        multimask_output=False,
    )
    assert torch.allclose(model.decode(queries, image), expected[:, 0, 0], atol=1e-5)


@torch.no_grad()
def test_pixellm_has_the_weights_of_clip(parts, checkpoints):
    tower = model_of("pixellm", checkpoints).vision_tower
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(7))
    expected = parts[1]["deep_clip"](pixels, output_hidden_states=True).hidden_states
    found = tower(pixels, torch.ones(1, 4, dtype=torch.bool), (-2, -11))
    assert torch.allclose(found[0], expected[-2][:, 1:], atol=1e-5)
    assert torch.allclose(found[1], expected[-11][:, 1:], atol=1e-5)


@pytest.mark.parametrize("name", ["psalm", "segearth_r1"])
@torch.no_grad()
def test_encoder_and_decoders_are_those_of_mask2former(name, parts, checkpoints):
    theirs, model = parts[1]["mask2former"].model, model_of(name, checkpoints)
    pixels = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(8))
    maps = theirs.pixel_level_module.encoder(pixels).feature_maps
    features = model.vision_tower(pixels)
    for found, expected in zip(features, maps, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
    # SegEarth-R1 and PSALM have a ReLU after the lateral convolution, which Mask2Former lacks.
    theirs.pixel_level_module.decoder.adapter_1.append(torch.nn.ReLU())
    try:
        decoded = theirs.pixel_level_module.decoder(maps)
    finally:
        del theirs.pixel_level_module.decoder.adapter_1[-1]
    mask_features, memories = model.pixel_decoder(features)
    assert torch.allclose(mask_features, decoded.mask_features, atol=1e-4)
    for found, expected in zip(memories, decoded.multi_scale_features, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
    expected = theirs.transformer_module(decoded.multi_scale_features, mask_features, output_hidden_states=True)
    queries = theirs.transformer_module.queries_features.weight.unsqueeze(0)  # (1, 10, 32)
    positions = theirs.transformer_module.queries_embedder.weight
    logits, _ = model.mask_decoder(queries, mask_features, memories, positions)
    for found, step in zip(logits, expected.masks_queries_logits, strict=True):
        assert torch.allclose(found, step, atol=1e-3)
    if name == "psalm":
        assert torch.equal(model.query_positions, positions)


def test_biases_that_mask2former_lacks_start_at_zero(checkpoints):
    decoder = model_of("psalm", checkpoints).pixel_decoder
    assert not decoder.lateral[0].bias.any()
    assert not decoder.output[0].bias.any()


def test_the_original_file_of_sam_gives_the_same_model_as_the_folder(parts, checkpoints, tmp_path):
    state = parts[1]["sam"].state_dict()
    del state["prompt_encoder.shared_embedding.positional_embedding"]  # the same tensor as another
    torch.save({original_name(name): tensor for name, tensor in state.items()}, tmp_path / "sam.pth")
    made = assembled("lisa", parts[0], tmp_path / "lisa", sam=str(tmp_path / "sam.pth"))
    assert "prompt_encoder.not_a_point_embed.weight" in made.parts[2].left_out
    found, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "lisa", checkpoints / "lisa"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    own, other = (
        json.loads((folder / "config.json").read_text())["sam_config"]["vision_config"]
        for folder in (tmp_path / "lisa", checkpoints / "lisa")
    )
    for key in ("window_size", "global_attn_indexes", "num_attention_heads", "image_size", "patch_size"):
        assert own[key] == other[key], key


def test_detectron2s_pickle_gives_the_same_model_as_the_folder(parts, checkpoints, tmp_path, monkeypatch):
    state = load_file(parts[0] / "mask2former" / "model.safetensors")
    with (tmp_path / "model_final.pkl").open("wb") as file:
        pickle.dump({"model": as_pickled(state), "__author__": "third"}, file)
    monkeypatch.setattr("baselines.segearth_r1.mask2former.PICKLED_HEADS", 4)  # 8 at full width
    for name in ("psalm", "segearth_r1"):
        assembled(name, parts[0], tmp_path / name, mask2former=str(tmp_path / "model_final.pkl"))
        found, expected = (load_file(folder / name / "model.safetensors") for folder in (tmp_path, checkpoints))
        assert found.keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


def write_llava(folder, connector, original=True):
    """A LLaVA of LLaVA's own code, or of transformers."""
    language = save_language(folder)
    if original:
        state = {**language.state_dict(), **{f"model.mm_projector.{n}": t for n, t in connector.items()}}
        for path in folder.glob("model*"):
            path.unlink()
        save_file(state, folder / "model.safetensors")
        config = {**json.loads((folder / "config.json").read_text()), "model_type": "llava", "mm_hidden_size": 24}
        (folder / "config.json").write_text(json.dumps({**config, "architectures": ["LlavaLlamaForCausalLM"]}))
        return language
    vision = CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14
    )
    whole = randomise(
        LlavaForConditionalGeneration(
            LlavaConfig(vision_config=vision, text_config=language.config, image_token_index=1)
        ),
        9,
    )
    for path in folder.glob("model*"):
        path.unlink()
    whole.save_pretrained(folder)
    return whole


def test_lisa_starts_with_llavas_connector_and_freezes_it(parts, tmp_path):
    language = write_llava(tmp_path / "llava", CONNECTOR)
    made = assembled("lisa", parts[0], tmp_path / "lisa", llm=str(tmp_path / "llava"))
    model = LisaPredictor.from_pretrained(tmp_path / "lisa").model
    assert torch.equal(model.projector.weight, CONNECTOR["weight"])
    assert torch.equal(model.projector.bias, CONNECTOR["bias"])
    assert torch.equal(model.language_model.layers[1].mlp.up_proj.weight, language.model.layers[1].mlp.up_proj.weight)
    assert {name.split(".")[0] for name in made.new} == {"query"}
    assert "projector" in model.frozen_with_vision


def test_a_connector_that_starts_new_is_trained(checkpoints):
    assert "projector" not in model_of("lisa", checkpoints).frozen_with_vision


def test_a_connector_of_another_form_is_left_out_by_name(parts, tmp_path):
    layers = {f"{n}.{kind}": torch.zeros(4) for n in (0, 2) for kind in ("weight", "bias")}
    write_llava(tmp_path / "llava", layers)
    for name in ("lisa", "pixellm"):
        made = assembled(name, parts[0], tmp_path / name, llm=str(tmp_path / "llava"))
        assert sorted(made.parts[0].left_out) == sorted(f"model.mm_projector.{key}" for key in layers)
        assert any(key.startswith("projector.") for key in made.new)


def test_the_language_model_is_taken_out_of_transformers_llava(parts, tmp_path):
    whole = write_llava(tmp_path / "llava", {}, original=False)
    made = assembled("pixellm", parts[0], tmp_path / "pixellm", llm=str(tmp_path / "llava"))
    state = load_file(tmp_path / "pixellm" / "model.safetensors")
    for name, tensor in whole.model.language_model.state_dict().items():
        rows = slice(len(tensor))
        assert torch.equal(state[f"language_model.{name}"][rows], tensor), name
    assert any("multi_modal_projector" in name for name in made.parts[0].left_out)
    assert any("vision_tower" in name for name in made.parts[0].left_out)


def test_a_token_for_unknown_text_pads_and_new_tokens_follow_the_vocabulary(parts, tmp_path):
    language = save_language(tmp_path / "llama")
    words = {f"w{number}": number + 3 for number in range(WORDS - 3)}
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, **words}, unk_token="<unk>"))
    for path in (tmp_path / "llama").glob("token*"):
        path.unlink()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(tmp_path / "llama")
    made = assembled("pixellm", parts[0], tmp_path / "pixellm", llm=str(tmp_path / "llama"))
    expected = {f"[SEG{number}]": WORDS + number for number in range(6)}
    assert made.tokens == {**expected, "<im_start>": WORDS + 6, "<im_end>": WORDS + 7}
    predictor = PixelLMPredictor.from_pretrained(tmp_path / "pixellm")
    assert predictor.processor.token_ids == list(expected.values()) == list(predictor.model.config.seg_token_ids)
    assert predictor.processor.tokenizer.pad_token_id == 0
    rows = predictor.model.language_model.embed_tokens.weight
    assert len(rows) == WORDS + 8
    assert torch.equal(rows[:WORDS], language.model.embed_tokens.weight)


@pytest.mark.parametrize("name", ["lisa", "segearth_r1"])
def test_what_starts_new_and_what_is_left_out_is_printed_and_recorded(name, parts, tmp_path):
    options = [word for part, source in NEEDS[name].items() for word in (f"--{part}", str(parts[0] / source))]
    done = CliRunner().invoke(app, ["assemble", name, *options, "--out", str(tmp_path / "start")])
    assert done.exit_code == 0, done.output
    new = {"lisa": "projector (800 values), query", "segearth_r1": "connector"}[name]
    left_out = {"lisa": "prompt_encoder.point_embed", "segearth_r1": "lm_head.bias"}[name]
    assert f"new: {new}" in done.output
    assert left_out in done.output
    record = json.loads((tmp_path / "start" / "assembly.json").read_text())
    assert set(record["new_tokens"]) >= {"[SEG]"}
    stated = {key for key in load_file(tmp_path / "start" / "model.safetensors") if key in record["new_tensors"]}
    assert stated == set(record["new_tensors"])


def damaged(folder, change):
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("clip", lambda s: s.pop("encoder.layers.1.mlp.fc1.bias"), r"1 tensors missing: .*layers\.1\.mlp\.fc1\.bias"),
        ("clip", lambda s: s.update({"stranger.weight": torch.zeros(2)}), r"1 tensors unknown: stranger\.weight"),
        (
            "clip",
            lambda s: s.update({"post_layernorm.bias": torch.zeros(3)}),
            r"with another shape: .*post_layernorm\.bias: found \(3,\), expected \(24,\)",
        ),
        ("clip", lambda s: s["post_layernorm.bias"].fill_(torch.nan), r"clip\.post_layernorm\.bias has values"),
        ("sam", lambda s: s.pop("vision_encoder.pos_embed"), r"1 tensors missing: vision_encoder\.pos_embed"),
        ("sam", lambda s: s.pop("mask_decoder.iou_token.weight"), r"missing: mask_decoder\.iou_token\.weight"),
    ],
)
def test_a_part_that_does_not_fit_is_named_and_nothing_is_written(part, change, words, parts, tmp_path):
    {"clip": save_clip, "sam": save_sam}[part](tmp_path / "part")
    damaged(tmp_path / "part", change)
    with pytest.raises(EarthReasonError, match=words):
        assembled("lisa", parts[0], tmp_path / "lisa", **{part: str(tmp_path / "part")})
    assert not (tmp_path / "lisa").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s.pop("model.transformer_module.level_embed.weight"),
            r"1 tensors missing: mask_decoder\.level_embed",
        ),
        (lambda s: s.update({"model.stranger": torch.zeros(2)}), r"1 tensors unknown: model\.stranger"),
    ],
)
def test_a_mask2former_that_does_not_fit_is_named(change, words, parts, tmp_path):
    save_mask2former(tmp_path / "part")
    damaged(tmp_path / "part", change)
    with pytest.raises(EarthReasonError, match=words):
        assembled("psalm", parts[0], tmp_path / "psalm", mask2former=str(tmp_path / "part"))
    assert not (tmp_path / "psalm").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["lisa", "--llm", "x", "--clip", "y"], "lisa needs --sam; its parts: --llm, --clip, --sam"),
        (["psalm", "--llm", "x", "--mask2former", "y", "--sam", "z"], "--sam: psalm has no such part"),
        (["vlm_sam"], "unknown model 'vlm_sam'"),
        (["pixellm", "--llm", "nowhere/", "--clip", "nowhere/"], "nowhere/: no language model can be loaded"),
        (["psalm", "--llm", "PHI", "--mask2former", "nothing.pkl"], "there is no file nothing.pkl"),
        (["lisa", "--llm", "LLAMA", "--clip", "CLIP", "--sam", "nothing.pth"], "there is no file nothing.pth"),
    ],
)
def test_a_wrong_request_is_one_clear_line(options, words, parts, tmp_path, capsys, monkeypatch):
    from baselines import cli

    known = {"PHI": "phi", "LLAMA": "llama", "CLIP": "clip"}
    given = [str(parts[0] / known[word]) if word in known else word for word in options]
    monkeypatch.setattr("sys.argv", ["baselines", "assemble", *given, "--out", str(tmp_path / "start")])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SystemExit) as stop:
        cli.run()
    assert stop.value.code == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert words in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_pretrained_weight_is_held_twice(dtype, parts, tmp_path, monkeypatch):
    saved = {}
    monkeypatch.setattr(assembly_module, "save_checkpoint", lambda *given: saved.update(given[2]) or (given[4]).mkdir())
    made = assembled("lisa", parts[0], tmp_path / "lisa", dtype)
    for part in made.parts:
        for name, tensor in part.tensors.items():
            assert saved[name].data_ptr() == tensor.data_ptr(), name
            assert str(tensor.dtype) == f"torch.{dtype}"
    assert not any(re.search(r"layers\.\d", name) for name in made.new)


@pytest.mark.parametrize("name", ["lisa", "pixellm", "psalm"])
def test_an_assembled_model_takes_one_step_is_saved_and_predicts(name, checkpoints, tmp_path):
    config = tmp_path / "preset.yaml"
    config.write_text(
        "precision: no\nsave_every: 1\nvalidate_every: 1\nvalidation_samples: 1\n"
        "data: {config: sample, train: 'train[:2]', validation: 'validation[:1]'}\n"
        "model: {checkpoint: start, freeze_vision: true}\n"
        "optim: {learning_rate: 3.0e-4, global_batch: 2, micro_batch: 2, steps: 1, clip: 1.0, warmup_share: 0}\n"
    )
    overrides = [f"model.checkpoint={checkpoints / name}"]
    overrides += ["model.image_size=128"] if name == "psalm" else ["model.lora={targets: [q_proj, v_proj]}"]
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["train", name, "--config", str(config), "--out", str(run), *overrides])
    assert done.exit_code == 0, done.output
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoints / name, run / "final"))
    assert before.keys() == after.keys()
    changed = {key.split(".")[0] for key, tensor in after.items() if not torch.equal(tensor, before[key])}
    assert "language_model" in changed
    assert "vision_tower" not in changed
    predictions = tmp_path / "p.json"
    chosen = f"--model {name} --checkpoint {run / 'final'} --config sample --split test[:2] --out {predictions}"
    done = CliRunner().invoke(app, ["predict", *chosen.split()])
    assert done.exit_code == 0, done.output
    assert len(json.loads(predictions.read_text())["predictions"]) == 2
