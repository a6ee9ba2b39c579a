"""A model that writes its own reply: the states of its mask tokens, and what it means if it writes none."""

import json

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM
from typer.testing import CliRunner

from baselines.cli import app
from baselines.common.generation import NOWHERE, Reply, write_reply
from baselines.common.prompt import IGNORE
from baselines.registry import MODELS, PredictorOptions, build_predictor
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason import load_dataset
from earthreason.errors import EarthReasonError

QUESTION = "where could a boat moor?"


def learner_of(name, head=False):
    model = {
        "name": name,
        "size": "mini",
        "image_size": 128,
        "architecture": {"no_target_head": head},
        "freeze_vision": False,
    }
    return build_learner(TrainConfig.model_validate({"model": model, "data": {"config": "sample"}}), list)


def opened(prompt):
    """Ids of a prompt up to where the model starts to write."""
    return torch.tensor([i for i, label in zip(prompt.input_ids, prompt.labels, strict=True) if label == IGNORE])


def picture():
    return load_dataset("earthreason", "sample", split="test[:1]")["image"][0]


@torch.no_grad()
def states_of(learner, prompt, image):
    """States of a whole prompt, with the reply in it, in one pass."""
    batch = learner.processor.pad([prompt])
    features = learner.model.encode_image(learner.processor.pixels([image]))
    seen = learner.model.attended(batch["attention_mask"], batch["input_ids"], features)
    return learner.model.read(learner.model.embed(batch["input_ids"], features.visual_tokens), seen)[0]


@torch.no_grad()
def teach(learner, prompt, image):
    """Set the output layer so that the likeliest token before each place of the reply is the one in the prompt."""
    states = states_of(learner, prompt, image)
    places = [n for n, label in enumerate(prompt.labels[1:]) if label != IGNORE]
    wanted = torch.zeros(len(places), learner.model.lm_head.out_features)
    wanted[range(len(places)), [prompt.labels[n + 1] for n in places]] = 1.0
    learner.model.lm_head.weight.copy_((torch.linalg.pinv(states[places].double()) @ wanted.double()).T)
    return states, places


@torch.no_grad()
def silence(model, token):
    """Make every state predict one token."""

    class Always(torch.nn.Module):
        out_features = model.lm_head.out_features

        def forward(self, states):
            return torch.nn.functional.one_hot(torch.tensor(token), self.out_features).float()

    model.lm_head = Always()


@pytest.fixture(params=["lisa", "pixellm"])
def taught(request):
    """A learner whose model writes the reply of the papers' evaluation; its prompt, image, states and places."""
    learner, image = learner_of(request.param), picture()
    prompt = learner.processor.prompt(QUESTION)
    return learner, image, prompt, *teach(learner, prompt, image)


def test_generated_states_and_masks_are_those_of_the_forced_reply(taught):
    learner, image, prompt, states, places = taught
    features = learner.model.encode_image(learner.processor.pixels([image]))
    opened = torch.tensor(
        [token for token, label in zip(prompt.input_ids, prompt.labels, strict=True) if label == IGNORE]
    )
    reply = write_reply(learner.model, opened, features, lambda said: len(said) == len(places))
    assert reply.ids == [prompt.labels[place + 1] for place in places]
    assert (reply.states - states[places]).abs().max() < 1e-5
    forced = learner.predictor_class(learner.model, learner.processor)
    generated = learner.predictor_class(learner.model, learner.processor, reply="generated")
    [(expected, _)], [(found, _)] = (list(p.logits([image], [QUESTION])) for p in (forced, generated))
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4
    [output] = generated.segment([image], [QUESTION])
    assert all(token in output.answer for token in learner.processor.tokens)


def test_the_reply_is_the_one_that_transformers_generates(taught):
    learner, image, prompt, _, places = taught
    model, config = learner.model, learner.model.config.text_config
    config.vocab_size = model.lm_head.out_features
    causal = LlamaForCausalLM(config).eval()
    causal.model.load_state_dict(model.language_model.state_dict())
    causal.lm_head.load_state_dict(model.lm_head.state_dict())
    features = model.encode_image(learner.processor.pixels([image]))
    ids = torch.tensor(
        [[token for token, label in zip(prompt.input_ids, prompt.labels, strict=True) if label == IGNORE]]
    )
    embedded = model.embed(ids, features.visual_tokens)
    made = causal.generate(
        inputs_embeds=embedded,
        attention_mask=model.attended(torch.ones_like(ids), ids, features),
        max_new_tokens=len(places),
        do_sample=False,
        output_hidden_states=True,
        return_dict_in_generate=True,
        pad_token_id=0,
    )
    reply = write_reply(model, ids[0], features, lambda said: len(said) == len(places))
    assert reply.ids == made.sequences[0].tolist()
    theirs = torch.stack([step[-1][0, -1] for step in made.hidden_states])
    assert (reply.states - theirs).abs().max() < 1e-5


def test_of_a_mask_token_that_is_written_twice_the_first_counts():
    reply = Reply([7, 8, 7, 9], torch.arange(4.0)[:, None])
    assert reply.states_of([7, 9]).tolist() == [[0], [3]]
    assert reply.states_of([7, 6]) is None


@pytest.mark.parametrize("head", [False, True])
def test_a_model_that_writes_no_mask_token_says_no_target(head):
    learner, image = learner_of("lisa", head), picture()
    silence(learner.model, learner.processor.tokenizer.eos_token_id)
    predictor = learner.predictor_class(learner.model, learner.processor, reply="generated")
    [output] = predictor.segment([image], [QUESTION])
    assert output.mask is None
    assert output.no_target_score == 1
    assert output.answer == learner.processor.tokenizer.eos_token  # it stopped there
    [(logits, presence)] = predictor.logits([image], [QUESTION])
    assert (logits == NOWHERE).all()
    assert presence is None or float(presence) == NOWHERE


def test_replies_of_one_batch_are_told_apart(monkeypatch):
    """The second of two questions gets no mask token; its neighbour keeps its mask."""
    learner, image = learner_of("lisa"), picture()
    prompt = learner.processor.prompt(QUESTION)
    teach(learner, prompt, image)
    predictor = learner.predictor_class(learner.model, learner.processor, reply="generated")
    [alone] = predictor.segment([image], [QUESTION])
    other = "a?"
    [quiet] = predictor.segment([image], [other])
    together = predictor.segment([image, image], [QUESTION, other])
    for output, single in zip(together, (alone, quiet), strict=True):
        assert output.answer == single.answer
        assert (output.mask is None) == (single.mask is None)
        assert output.mask is None or np.array_equal(output.mask, single.mask)


def test_each_reply_of_a_batch_is_about_its_own_image(monkeypatch):
    learner, images = learner_of("lisa"), load_dataset("earthreason", "sample", split="test[:2]")["image"]
    silence(learner.model, learner.processor.tokenizer.eos_token_id)
    seen = []

    def write(model, ids, image, stops):
        seen.append(image.visual_tokens)
        return write_reply(model, ids, image, stops)

    monkeypatch.setattr("baselines.common.generation.write_reply", write)
    learner.predictor_class(learner.model, learner.processor, reply="generated").segment(images, [QUESTION] * 2)
    for image, tokens in zip(images, seen, strict=True):
        with torch.no_grad():
            own = learner.model.encode_image(learner.processor.pixels([image])).visual_tokens
        assert torch.allclose(tokens, own, atol=1e-5)
    assert not torch.allclose(*seen, atol=1e-3)


@pytest.mark.parametrize(("token", "share"), [("eos", 1.0), ("[SEG]", 0.0)])
def test_the_share_of_silent_replies_is_in_the_file_and_printed(token, share, tmp_path, monkeypatch):
    learner = learner_of("lisa")
    tokenizer = learner.processor.tokenizer
    silence(learner.model, tokenizer.eos_token_id if token == "eos" else learner.processor.token_ids[0])
    predictor = learner.predictor_class(learner.model, learner.processor, reply="generated")
    monkeypatch.setattr("baselines.common.run.build_predictor", lambda *_: predictor)
    out = tmp_path / "p.json"
    options = ["--model", "lisa", "--config", "sample", "--split", "test[:3]", "--reply", "generated"]
    done = CliRunner().invoke(app, ["predict", *options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert written["info"]["reply"] == "generated"
    assert written["info"]["missing_mask_token"] == {"replies": 3 * share, "of": 3, "share": share}
    if share:
        assert [p["segmentation"] for p in written["predictions"]] == [None] * 3
    assert f"{3 * share:.0f} of 3 replies" in " ".join(done.output.split())


def test_forced_replies_are_not_counted(tmp_path, monkeypatch):
    learner = learner_of("lisa")
    predictor = learner.predictor_class(learner.model, learner.processor)
    monkeypatch.setattr("baselines.common.run.build_predictor", lambda *_: predictor)
    out = tmp_path / "p.json"
    done = CliRunner().invoke(
        app, ["predict", "--model", "lisa", "--config", "sample", "--split", "test[:1]", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert not {"reply", "missing_mask_token"} & set(written["info"])
    assert "answer" not in written["predictions"][0]


def test_a_model_whose_mask_needs_no_reply_refuses_to_generate_one():
    learner = learner_of("psalm")
    with pytest.raises(EarthReasonError, match="the masks of Psalm do not depend on its reply"):
        learner.predictor_class(learner.model, learner.processor, reply="generated")
    with pytest.raises(EarthReasonError, match="--reply is not for centre"):
        build_predictor("centre", PredictorOptions(reply="generated"))
    assert {name for name, entry in MODELS.items() if "reply" in entry.own_options} == {"lisa", "pixellm"}


def test_generation_cannot_be_compiled():
    learner = learner_of("lisa")
    with pytest.raises(EarthReasonError, match="--compile is not for --reply generated"):
        learner.predictor_class(learner.model, learner.processor, compiled=True, reply="generated")
