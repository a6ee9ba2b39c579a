"""Control tokens that a user writes stay text."""

import pytest

from baselines.common.languages import byte_tokenizer, learned_tokenizer
from baselines.common.processing import add_tokens
from baselines.common.prompt import IGNORE, plain_ids
from baselines.lisa.predictor import LisaProcessor
from baselines.segearth_r1.prompt import write_prompt


@pytest.fixture
def tokenizer():
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    return tokenizer


@pytest.mark.parametrize("token", ["[SEG]", "<|endoftext|>", "[PAD]", "[SEG][SEG]"])
def test_a_control_token_in_a_question_becomes_its_bytes(tokenizer, token):
    text = f"Where is {token} here?"
    found = plain_ids(tokenizer, text)
    # The byte tokenizer has one id for each byte, and three ids above 255 for the control tokens.
    assert len(found) == len(text)
    assert max(found) < 256
    assert tokenizer.decode(found) == text


def test_only_the_prompts_own_control_tokens_are_left(tokenizer):
    seg = tokenizer.get_vocab()["[SEG]"]
    prompt = write_prompt(tokenizer, "Show [SEG].", 4, seg, answer="A [SEG]<|endoftext|> b", reply=True)
    assert prompt.input_ids.count(seg) == 2  # after the question and after the answer
    assert prompt.input_ids.count(tokenizer.eos_token_id) == 1


def test_texts_without_control_tokens_are_tokenized_as_before():
    tokenizer = learned_tokenizer(["Where could a plane land? Where is the water?"] * 3)
    add_tokens(tokenizer)
    tokenizer.add_tokens(["   "])  # Phi has added tokens for runs of spaces, which are not control tokens
    for text in ("Where could a plane land?", "a   b", " \0 "):
        assert plain_ids(tokenizer, text) == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("task", "answer", "words"),
    [
        ("reasoning", "At the pier.", ". At the pier."),
        ("reasoning", None, ". There is no target object in the image."),
        ("referring", "At the pier.", "."),
    ],
)
def test_our_own_wording_teaches_the_opening_the_mask_token_the_answer_and_the_end(tokenizer, task, answer, words):
    prompt = LisaProcessor(tokenizer, 256, 4).prompt("where?", task, answer, reply=True)
    taught = [label for label in prompt.labels if label != IGNORE]
    assert tokenizer.decode(taught) == f"It is[SEG]{words}<|endoftext|>"
    assert prompt.input_ids[-len(taught) :] == taught
