"""New models as the configuration asks for them: from scratch, around a language model, without parts of the paper."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from baselines.common.languages import byte_tokenizer, learned_tokenizer
from baselines.segearth_r1.learner import build
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training.config import TrainConfig
from earthreason import load_dataset
from earthreason.errors import EarthReasonError

WORDS = ["Where could an aircraft put down in an emergency?", "Which of these keeps boats from the waves?"] * 5


def learner_of(**model):
    return build(
        TrainConfig.model_validate({"model": {"size": "mini", "freeze_vision": False, **model}}), lambda: WORDS
    )


@pytest.fixture(scope="module")
def items():
    from earthreason.torch import PixelReasoningDataset

    dataset = PixelReasoningDataset(load_dataset("earthreason", "sample", split="train"), 256)
    chosen = [next(n for n, empty in enumerate(dataset.rows["is_empty"]) if empty is kind) for kind in (True, False)]
    return [dataset[n] for n in chosen]


def test_a_learned_tokenizer_reads_anything_in_fewer_tokens():
    learned, of_bytes = learned_tokenizer(WORDS, 400), byte_tokenizer()
    text = "Where could boats put down? Ünïcode 東京 \U0001f6e9"
    assert learned.decode(learned(text)["input_ids"]) == text
    assert len(learned(WORDS[0])["input_ids"]) < len(of_bytes(WORDS[0])["input_ids"]) / 3


@pytest.mark.parametrize(
    ("architecture", "absent"),
    [
        ({"d_projector": False}, {"d_projector", "text_projector", "image_projector"}),
        ({"query": "seg"}, set()),
        ({"connector_strides": [2, 1]}, set()),
        ({"query": "seg", "d_projector": False, "no_target_head": True}, {"d_projector"}),
    ],
)
def test_every_ablation_trains_saves_and_answers_the_same_when_loaded(architecture, absent, items, tmp_path):
    learner = learner_of(architecture=architecture)
    output = learner.model(**learner.collate(items))
    output.loss.backward()
    without = [name for name, p in learner.model.named_parameters() if p.grad is None]
    assert without == []
    assert not absent & {name.split(".")[1] for name, _ in learner.model.description.named_parameters(prefix="d")}
    learner.save(learner.model, tmp_path)
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    pair = [row["image"]], row["questions"][:1]
    here, there = (
        list(p.logits(*pair)) for p in (learner.predictor(learner.model), SegEarthR1Predictor.from_pretrained(tmp_path))
    )
    assert torch.allclose(here[0][0], there[0][0], atol=1e-5)


def test_visual_tokens_follow_the_strides():
    assert [learner_of(architecture={"connector_strides": s}).processor.visual_tokens for s in ((2, 2), (2, 1))] == [
        4,
        16,
    ]


def test_the_query_of_seg_depends_on_the_last_token_alone():
    model = learner_of(architecture={"query": "seg"}).model.eval()
    states, features = torch.randn(1, 6, 64), torch.randn(1, 128, 8, 8)
    selected = torch.tensor([[False, True, True, True, True, False]])
    changed = states.clone()
    changed[:, :4] = 0
    with torch.no_grad():
        first, second = (model.description(s, selected, features) for s in (states, changed))
        changed[:, 4] = 0
        third = model.description(changed, selected, features)
    assert torch.equal(first, second)
    assert not torch.allclose(first, third)


def test_the_no_target_head_decides_and_gives_the_score(items):
    learner = learner_of(architecture={"no_target_head": True})
    output = learner.model(**learner.collate(items))
    logits, present = output.presence_logits, torch.tensor([0.0, 1.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, present)
    assert output.losses["presence"].item() == pytest.approx(expected.item(), rel=1e-6)
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    for bias, kept in ((-9.0, False), (9.0, True)):
        with torch.no_grad():
            learner.model.presence.weight.zero_()
            learner.model.presence.bias.fill_(bias)
        (found,) = learner.predictor(learner.model).segment([row["image"]], row["questions"][:1])
        assert found.no_target_score == pytest.approx(1 / (1 + np.exp(bias)), abs=1e-6)
        assert (found.mask is not None) is kept


@pytest.fixture(scope="module")
def language_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
    )
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_pretrained_language_model_keeps_its_weights(language_folder, items):
    learner = learner_of(language_model=str(language_folder), freeze_language=True)
    original = LlamaForCausalLM.from_pretrained(language_folder)
    table = original.model.embed_tokens.weight
    assert torch.equal(learner.model.language_model.embed_tokens.weight[: len(table)], table)
    assert torch.equal(
        learner.model.language_model.layers[1].mlp.up_proj.weight, original.model.layers[1].mlp.up_proj.weight
    )
    learner.model(**learner.collate(items)).loss.backward()
    assert all(p.grad is None for p in learner.model.language_model.parameters())
    assert learner.model.connector.fc.weight.grad.abs().sum() > 0


def test_a_language_model_that_is_none_is_named(tmp_path):
    for source in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(EarthReasonError, match=source.name):
            learner_of(language_model=str(source))
