"""PSALM's prompt has the token ids that its public code makes of it."""

import pytest

from baselines.common.processing import add_tokens
from baselines.common.prompt import IMAGE_ID
from baselines.psalm.modeling import QUERY_ID
from baselines.psalm.predictor import PsalmProcessor
from baselines.segearth_r1.configuration import SEG_TOKEN_ID
from tests.baselines.segearth_r1.test_prompt import REFERRING, SYSTEM, codegen_tokenizer, ids


@pytest.fixture(scope="module")
def processor():
    tokenizer = codegen_tokenizer()
    assert add_tokens(tokenizer) == [SEG_TOKEN_ID]
    processor = PsalmProcessor(tokenizer, 1024, 256)
    assert processor.queries == 100
    return processor


@pytest.mark.parametrize("task", ["referring", "reasoning"])
def test_image_instruction_condition_and_queries_follow_each_other(processor, task):
    """`[SEG]` ends the condition, which alone is pooled; the full stop is the public code's."""
    prompt = processor.prompt("the left boat", task)
    boat = [*ids("262 1364 8848 13"), SEG_TOKEN_ID]
    reply = ids("46581 38604 60 220 198 19457 11 262 10618 341 1255 318 220")  # " [/INST] \nSure, the ... is "
    before = [*ids(SYSTEM), *[IMAGE_ID] * 256, *ids(REFERRING)]
    assert prompt.input_ids == [*before, *boat, *reply, *[QUERY_ID] * 100]
    assert [n for n, is_condition in enumerate(prompt.question) if is_condition] == [
        len(before) + n for n in range(len(boat))
    ]


def test_a_question_keeps_its_own_mark(processor):
    where = processor.prompt("where is it?")
    condition = [token for token, chosen in zip(where.input_ids, where.question, strict=True) if chosen]
    assert condition == [810, 318, 340, 30, SEG_TOKEN_ID]
