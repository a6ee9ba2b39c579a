"""Checkpoints are read as the libraries that wrote them mean it, or refused."""

import json
import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from baselines.common.conversion import convert_tensors
from baselines.common.weights import read_tensors
from earthreason.errors import EarthReasonError


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    return AutoModelForCausalLM.from_config(config)


def same(found, expected):
    found = dict(found)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)


def test_shards_written_by_transformers_are_read_by_their_index(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("model-*"))) > 1
    same(read_tensors(tmp_path), model.state_dict())


def test_a_stale_single_file_beside_indexed_shards_is_left_out_with_a_warning(model, tmp_path, caplog):
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    save_file({name: torch.zeros_like(t) for name, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    same(read_tensors(tmp_path), model.state_dict())
    assert "model.safetensors is not in model.safetensors.index.json" in caplog.text


def test_a_single_file_beside_shards_without_an_index_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    save_file({name: t.clone() for name, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(EarthReasonError, match="without model.safetensors.index.json; delete what does not belong"):
        list(read_tensors(tmp_path))


def test_a_missing_shard_is_named(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    gone = sorted(tmp_path.glob("model-*"))[1]
    gone.unlink()
    with pytest.raises(EarthReasonError, match=gone.name):
        list(read_tensors(tmp_path))
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(EarthReasonError, match="not all shards of one checkpoint"):
        list(read_tensors(tmp_path))


def test_a_tensor_that_is_elsewhere_than_the_index_says_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="4KB")
    first, second = sorted(tmp_path.glob("model-*"))[:2]
    held, other = load_file(first), load_file(second)
    name = next(iter(other))
    save_file({**held, name: torch.zeros_like(other[name])}, first)
    with pytest.raises(EarthReasonError, match=rf"{first.name} contains {name}, but the index says"):
        list(read_tensors(tmp_path))
    save_file(dict(list(held.items())[1:]), first)
    with pytest.raises(EarthReasonError, match=f"lacks {next(iter(held))}"):
        list(read_tensors(tmp_path))


def test_shards_that_repeat_a_tensor_are_refused(tmp_path):
    for number in (1, 2):
        save_file({"a": torch.full((2,), number)}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    with pytest.raises(EarthReasonError, match="two tensors are called a"):
        list(read_tensors(tmp_path))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path, value):
    save_file({"fine": torch.ones(2), "bad.weight": torch.tensor([1.0, value])}, tmp_path / "model.safetensors")
    with pytest.raises(EarthReasonError, match=r"bad\.weight has values that are not finite"):
        list(read_tensors(tmp_path))


def test_wrappers_of_torch_and_deepspeed_are_removed(model, tmp_path):
    wrapped = nn.DataParallel(torch.compile(model)).state_dict()
    assert all(name.startswith("module._orig_mod.") for name in wrapped)
    torch.save({"module": wrapped, "optimizer": None, "ds_version": "0"}, tmp_path / "mp_rank_00_model_states.pt")
    same(read_tensors(tmp_path), model.state_dict())


def test_a_name_with_and_without_a_wrapper_is_refused(tmp_path):
    save_file({"a": torch.ones(1), "module.a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(EarthReasonError, match="two tensors are called a"):
        list(read_tensors(tmp_path))


def with_adapters(model, **settings):
    torch.manual_seed(1)
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **settings}
    adapted = get_peft_model(model, LoraConfig(**options))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            nn.init.normal_(parameter, std=0.2)
    return adapted


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"modules_to_save": ["lm_head"]}], ids=str)
def test_adapters_saved_with_the_whole_model_are_merged_as_peft_merges_them(model, tmp_path, settings):
    adapted = with_adapters(model, **settings)
    state = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    adapted.save_pretrained(tmp_path)  # writes adapter_config.json
    (tmp_path / "adapter_model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    same(read_tensors(tmp_path), adapted.merge_and_unload().state_dict())


def test_adapters_of_transposed_weights_are_merged_as_peft_merges_them(tmp_path):
    gpt2 = AutoModelForCausalLM.from_config(GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2))
    adapted = with_adapters(gpt2, target_modules=["attn.c_proj"], fan_in_fan_out=True)  # a square weight
    state = {name: tensor.clone() for name, tensor in adapted.state_dict().items()}
    adapted.save_pretrained(tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    same(read_tensors(tmp_path), adapted.merge_and_unload().state_dict())


@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["lm_head"]}], ids=str)
def test_an_adapter_file_beside_the_base_model_is_merged_as_peft_merges_it(model, tmp_path, settings):
    model.save_pretrained(tmp_path)
    adapted = with_adapters(model, **settings)
    adapted.save_pretrained(tmp_path)
    same(read_tensors(tmp_path), adapted.merge_and_unload().state_dict())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "contains no weights .*but adapters alone: put the weights of their base model beside them, or merge",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text('{"r": 0}'), "does not state r and lora_alpha"),
    ],
)
def test_adapters_that_cannot_be_merged_are_refused_with_what_to_do(model, tmp_path, damage, message):
    model.save_pretrained(tmp_path)
    with_adapters(model).save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(EarthReasonError, match=message):
        list(read_tensors(tmp_path))


def test_a_stray_adapter_does_not_hide_good_weights(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with_adapters(model, modules_to_save=["lm_head"]).save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    same(read_tensors(tmp_path), expected)
    assert "adapter_model.safetensors has no adapter_config.json beside it and is left out" in caplog.text


def test_a_damaged_stray_adapter_is_not_even_opened(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    same(read_tensors(tmp_path), model.state_dict())


def test_an_adapter_with_settings_is_merged_with_a_warning(model, tmp_path, caplog):
    model.save_pretrained(tmp_path)
    with_adapters(model).save_pretrained(tmp_path)
    list(read_tensors(tmp_path))
    assert "is merged into the weights beside it; delete it if they are merged already" in caplog.text


def test_unmerged_weights_of_a_whole_run_say_how_to_merge_them_and_then_do(model, tmp_path):
    adapted = with_adapters(model, lora_alpha=16, r=8)  # what zero_to_fp32.py writes for LISA has no settings
    torch.save({name: tensor.clone() for name, tensor in adapted.state_dict().items()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EarthReasonError, match="no adapter_config.json") as caught:
        list(read_tensors(tmp_path))
    (advised,) = re.findall(r"\{.*\}", str(caught.value))
    (tmp_path / "adapter_config.json").write_text(advised)
    same(read_tensors(tmp_path), adapted.merge_and_unload().state_dict())


def save_as_deepspeed(folder, state):
    """What `save_checkpoint` of a ZeRO-2 run leaves."""
    step = folder / "global_step500"
    step.mkdir()
    (folder / "latest").write_text("global_step500")
    (folder / "zero_to_fp32.py").write_text("")
    torch.save({"module": state, "ds_version": "0.14.4"}, step / "mp_rank_00_model_states.pt")
    torch.save({"optimizer_state_dict": {}}, step / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    return step


def test_a_folder_of_deepspeed_says_how_to_gather_its_weights(model, tmp_path):
    step = save_as_deepspeed(tmp_path, model.state_dict())
    with pytest.raises(EarthReasonError, match=r"run python zero_to_fp32\.py \. merged/"):
        list(read_tensors(tmp_path))
    same(read_tensors(step), model.state_dict())  # ZeRO-2 keeps the weights whole
    (step / "mp_rank_00_model_states.pt").rename(step / "zero_pp_rank_0_mp_rank_00_model_states.pt")  # as ZeRO-3
    with pytest.raises(EarthReasonError, match=r"run python zero_to_fp32\.py \. merged/"):
        list(read_tensors(step))


def test_the_folder_that_newer_zero_to_fp32_makes_of_a_file_name_is_named(model, tmp_path):
    model.save_pretrained(tmp_path / "pytorch_model.bin")
    with pytest.raises(EarthReasonError, match=r"are in \S+pytorch_model\.bin: give that"):
        list(read_tensors(tmp_path))


def test_dora_is_refused_with_what_to_do(model, tmp_path):
    model.save_pretrained(tmp_path)
    with_adapters(model, use_dora=True).save_pretrained(tmp_path)
    with pytest.raises(EarthReasonError, match="merge_and_unload"):
        list(read_tensors(tmp_path))


@pytest.mark.parametrize("content", ["nonsense", "[]", json.dumps({"weight_map": {"a": "../b.safetensors"}})])
def test_a_broken_index_is_one_clear_line(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(EarthReasonError, match=r"model\.safetensors\.index\.json") as caught:
        list(read_tensors(tmp_path))
    assert "\n" not in str(caught.value)


def test_two_published_names_for_one_tensor_are_reported():
    tensors = [("x.a", torch.ones(1)), ("y.a", torch.zeros(1))]
    _, report = convert_tensors(tensors, {"a": torch.Size([1])}, lambda name, t: {name[2:]: t}, re.compile("never"))
    assert report.repeated == ["y.a"]
    with pytest.raises(EarthReasonError, match="1 tensors given twice: y.a"):
        report.check("source", "model")


def write_adapter(folder, settings, down, up):
    weights = {"q.weight": torch.ones(4, 3), "q.lora_A.weight": torch.ones(down), "q.lora_B.weight": torch.ones(up)}
    save_file(weights, folder / "model.safetensors")
    (folder / "adapter_config.json").write_text(settings)


@pytest.mark.parametrize(
    ("settings", "down", "up", "message"),
    [
        ('{"r": 8, "lora_alpha": 4}', (2, 3), (4, 2), "not of rank 8"),  # would merge with a quarter of the change
        ('{"r": 2, "lora_alpha": 4}', (2, 3), (1, 2), r"\(1, 3\), not \(4, 3\)"),  # would broadcast
        ('{"r": -2, "lora_alpha": 4, "use_rslora": true}', (2, 3), (4, 2), "does not state r"),
        ('{"r": Infinity, "lora_alpha": 4}', (2, 3), (4, 2), "does not state r"),
        ('{"r": 2, "lora_alpha": 4, "rank_pattern": {"k": 8}}', (2, 3), (4, 2), "adapters with own ranks"),
        ('{"r": 2, "lora_alpha": 4, "alpha_pattern": {"q": 8}}', (2, 3), (4, 2), "adapters with own ranks"),
        ('{"r": 2, "lora_alpha": NaN}', (2, 3), (4, 2), "does not state r"),
        ('{"r": 2, "lora_alpha": 1' + "0" * 400 + "}", (2, 3), (4, 2), "does not state r"),
    ],
)
def test_adapters_that_contradict_their_settings_or_weight_are_refused(tmp_path, settings, down, up, message):
    write_adapter(tmp_path, settings, down, up)
    with pytest.raises(EarthReasonError, match=message):
        list(read_tensors(tmp_path))


def test_two_adapters_of_one_weight_are_refused(model, tmp_path):
    adapted = with_adapters(model)
    adapted.add_adapter("other", LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"]))
    adapted.save_pretrained(tmp_path)
    torch.save(adapted.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(EarthReasonError, match=r"layers\.0\.self_attn\.q_proj has several adapters; merge them"):
        list(read_tensors(tmp_path))


def test_a_change_is_added_before_the_weight_is_rounded(tmp_path):
    """From 1 on, bfloat16 has steps of 2^-7: 2^-8 is half a step and rounds down, 2^-17 more rounds up."""
    write_adapter(tmp_path, '{"r": 2, "lora_alpha": 2}', (2, 3), (4, 2))
    weights = load_file(tmp_path / "model.safetensors")
    weights["q.weight"] = weights["q.weight"].bfloat16()
    weights["q.lora_A.weight"] = torch.tensor([[2.0**-8] * 3, [2.0**-17] * 3])
    save_file(weights, tmp_path / "model.safetensors")
    merged = dict(read_tensors(tmp_path))["q.weight"]
    assert merged.dtype == torch.bfloat16
    assert merged.unique().tolist() == [1 + 2.0**-7]


def test_of_one_adapter_in_two_formats_the_safetensors_are_merged(tmp_path):
    write_adapter(tmp_path, '{"r": 2, "lora_alpha": 4}', (2, 3), (4, 2))
    (tmp_path / "model.safetensors").rename(tmp_path / "adapter_model.safetensors")
    save_file({"q.weight": torch.ones(4, 3)}, tmp_path / "model.safetensors")
    torch.save({"q.lora_A.weight": torch.full((2, 3), 9.0)}, tmp_path / "adapter_model.bin")
    assert torch.equal(dict(read_tensors(tmp_path))["q.weight"], torch.full((4, 3), 1 + 4 / 2 * 2.0))


@pytest.mark.parametrize(
    "content", [b"", b"junk" * 50, b"PK\x03\x04junk", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_a_file_that_torch_cannot_load_is_one_line_with_its_name(tmp_path, content):
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(EarthReasonError, match=r"pytorch_model\.bin is not a file of weights: .") as caught:
        list(read_tensors(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def test_numbered_tensors_are_no_table(tmp_path):
    torch.save({0: torch.ones(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EarthReasonError, match="no table of tensors"):
        list(read_tensors(tmp_path))


def test_an_index_of_nothing_does_not_hide_the_single_file(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(EarthReasonError, match="names no tensors"):
        list(read_tensors(tmp_path))


def test_a_folder_without_weights_is_not_called_unreadable(tmp_path):
    with pytest.raises(EarthReasonError, match="contains no weights") as caught:
        list(read_tensors(tmp_path))
    assert "cannot be read" not in str(caught.value)
