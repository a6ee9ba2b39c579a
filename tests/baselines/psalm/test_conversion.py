"""Files with the names and shapes of the published PSALM become a working model, or are refused with a list."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import PhiConfig, PhiModel
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common.conversion import shapes_of
from baselines.common.languages import byte_tokenizer
from baselines.common.processing import add_tokens
from baselines.psalm.conversion import RENAMES, UNUSED, convert_published
from baselines.psalm.modeling import PsalmConfig, PsalmModel
from baselines.psalm.predictor import PsalmPredictor
from baselines.registry import convertible_models
from baselines.segearth_r1.conversion import convert_state
from baselines.segearth_r1.tiny import parts_of
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from tests.baselines.psalm.published import Widths, published_shapes
from tests.conftest import SHARED

FULL = SHARED / "goldens" / "segearth_r1" / "state_dict_full.json"
HEADS = 4
SMALL = Widths(
    hidden=64,
    text_layers=2,
    text_ffn=128,
    vocabulary=259,
    vision=16,
    depths=(1, 1, 2, 1),
    heads=(1, 2, 4, 8),
    window=8,
    connector=96,
    dim=64,
    samples=48,
    pixel_layers=2,
    pixel_ffn=128,
    mask_layers=3,
    mask_ffn=128,
    queries=8,
)
UNREAD = {
    "lm_head.weight",
    "predictor.query_feat.weight",
    "predictor.SEG_query_embed.weight",
    *(f"{name}.{kind}" for name in ("class_name_projector", "region_projector") for kind in ("weight", "bias")),
    *(
        f"predictor.{name}_proj.layers.{n}.{kind}"
        for name in ("CLASS", "REGION")
        for n in (0, 1)
        for kind in ("weight", "bias")
    ),
}
PLACES = {
    "seg_query": "seg_query",
    "seg_query_projector.weight": "query_projector.weight",
    "SEG_token_projector.bias": "condition_projector.bias",
    "predictor.query_embed.weight": "query_positions",
    "predictor.SEG_proj.layers.0.weight": "score_projector.0.weight",
    "predictor.SEG_proj.layers.1.weight": "score_projector.2.weight",
    "model.mm_projector.layer1.0.bn1.running_var": "connector.norm1.running_var",
    "model.mm_projector.layer1.0.bn2.weight": "connector.norm2.weight",
    "model.mm_projector.layer1.0.downsample.1.running_mean": "connector.shortcut.1.running_mean",
    "model.mm_projector.fc.weight": "connector.fc.weight",
    "model.vision_tower.layers.2.blocks.1.attn.qkv.weight": "vision_tower.layers.2.blocks.1.attn.qkv.weight",
    "model.vision_tower.norm3.bias": "vision_tower.norm3.bias",
    "pixel_decoder.adapter_1.1.weight": "pixel_decoder.lateral.1.weight",
    "pixel_decoder.layer_1.1.weight": "pixel_decoder.output.1.weight",
    "pixel_decoder.input_proj.0.1.weight": "pixel_decoder.input_proj.0.1.weight",
    "predictor.transformer_cross_attention_layers.1.norm.weight": "mask_decoder.layers.1.cross_norm.weight",
    "predictor.transformer_self_attention_layers.1.norm.weight": "mask_decoder.layers.1.self_norm.weight",
    "predictor.transformer_ffn_layers.1.norm.weight": "mask_decoder.layers.1.ffn_norm.weight",
    "predictor.mask_embed.layers.1.weight": "mask_decoder.mask_embed.2.weight",
    "predictor.mask_embed.layers.2.weight": "mask_decoder.mask_embed.4.weight",
}


def phi_config():
    return PhiConfig(
        vocab_size=SMALL.vocabulary,
        hidden_size=SMALL.hidden,
        intermediate_size=SMALL.text_ffn,
        num_hidden_layers=SMALL.text_layers,
        num_attention_heads=HEADS,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )


def small_config():
    return PsalmConfig(
        text_config=phi_config(),
        image_size=128,
        queries=SMALL.queries,
        connector_dim=SMALL.connector,
        **parts_of("mini"),
    )


def phi_as_published(model):
    """The tensors of a PhiModel as transformers 4.36 saves them: rows of the fused projection are (head, q k v, d)."""
    state, width = {}, SMALL.hidden // HEADS
    for name, tensor in model.state_dict().items():
        if ".q_proj." in name:
            parts = [model.state_dict()[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            rows = [part[head * width : (head + 1) * width] for head in range(HEADS) for part in parts]
            state["model." + name.replace("q_proj", "query_key_value")] = torch.cat(rows)
        elif ".k_proj." not in name and ".v_proj." not in name:
            state["model." + name] = tensor
    return state


@pytest.fixture
def published(tmp_path):
    """A folder with weights and tokenizer, its tensors, and the Phi they hold."""
    folder = tmp_path / "published"
    folder.mkdir()
    torch.manual_seed(0)
    phi = PhiModel(phi_config())
    made = {name: 0.05 * torch.randn(shape) for name, shape in published_shapes(SMALL).items()}
    made |= {name: tensor.abs() + 0.5 for name, tensor in made.items() if name.endswith("running_var")}
    made |= {name: torch.tensor(7) for name in made if name.endswith("num_batches_tracked")}
    made |= {name: torch.zeros(shape) for name, shape in published_shapes(SMALL).items() if "position_index" in name}
    phi_tensors = phi_as_published(phi)
    assert phi_tensors.keys() <= made.keys()
    made |= phi_tensors
    write(folder, made)
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    assert len(tokenizer) == SMALL.vocabulary
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_phi"}))
    return folder, made, phi


def write(folder, made):
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, folder / "model.safetensors")


def test_every_published_tensor_of_full_size_has_its_place():
    config = PsalmConfig()
    shapes = published_shapes(Widths())
    tensors = [(name, torch.empty(shape, device="meta")) for name, shape in shapes.items()]
    expected = shapes_of(PsalmModel, config)
    state, report = convert_state(tensors, expected, config, RENAMES, UNUSED)
    report.check("the full-size list", "PSALM")
    assert state.keys() == expected.keys()
    assert {name for name in report.dropped if "relative_position_index" not in name} == UNREAD


def test_the_names_are_those_of_its_fork_where_both_have_the_part():
    """The list of SegEarth-R1 was made by running its public code; see ../shared."""
    if not FULL.is_file():
        pytest.skip("../shared/goldens is not here")
    fork = {name: tuple(shape) for name, shape in json.loads(FULL.read_text())["tensors"].items()}
    own = ("text_projector", "origin_SEG", "SEG_token_projector", "local_project", "d_layers", "model.mm_projector")
    only_there = {name for name in fork if name.startswith((*own, "predictor.new_query_embed"))}
    shapes = published_shapes(Widths())
    assert {name: fork[name] for name in fork.keys() - only_there}.items() <= shapes.items()
    more = {name.split(".")[0] for name in shapes.keys() - fork.keys()}
    parts = {"seg_query_projector", "class_name_projector", "region_projector"}
    assert more == {*parts, "model", "predictor"}  # its connector, and REGION_proj


def test_published_files_become_a_working_checkpoint(published, tmp_path):
    source, made, phi = published
    report = convert_published(source, tmp_path / "ours", config=small_config())
    assert set(report.dropped) >= UNREAD
    predictor = PsalmPredictor.from_pretrained(tmp_path / "ours")
    found = predictor.model.state_dict()
    for theirs, ours in PLACES.items():
        assert torch.equal(found[ours], made[theirs]), theirs
    assert found["connector.norm1.num_batches_tracked"].dtype == torch.int64
    language = predictor.model.language_model.state_dict()
    assert all(torch.equal(tensor, language[name]) for name, tensor in phi.state_dict().items())
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    ((logits, _),) = predictor.logits([row["image"]], row["questions"][:1])
    assert torch.isfinite(logits).all()


def test_counters_stay_integers_in_bfloat16(published, tmp_path):
    convert_published(published[0], tmp_path / "ours", "bfloat16", small_config())
    found = PsalmPredictor.from_pretrained(tmp_path / "ours", dtype="bfloat16").model.state_dict()
    assert found["connector.norm1.num_batches_tracked"] == 7
    assert found["connector.norm1.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("predictor.SEG_proj.layers.1.bias"), "1 tensors missing: score_projector.2.bias"),
        (lambda t: t.update({"text_projector.weight": torch.zeros(1)}), "1 tensors unknown: text_projector.weight"),
        (lambda t: t.update({"seg_query": torch.zeros(3, 64)}), r"seg_query: found \(3, 64\), expected \(8, 64\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_written(published, tmp_path, change, words):
    source, made, _ = published
    change(made)
    write(source, made)
    with pytest.raises(EarthReasonError, match=words):
        convert_published(source, tmp_path / "ours", config=small_config())
    assert not (tmp_path / "ours").exists()


def test_the_command_says_in_one_line_what_it_cannot_read(tmp_path):
    assert "psalm" in convertible_models()
    done = CliRunner().invoke(app, ["convert", "psalm", str(tmp_path / "none"), str(tmp_path / "ours")])
    assert done.exit_code != 0
    assert isinstance(done.exception, EarthReasonError | SystemExit)
