"""LISA's conversations are the ids and labels that its public code makes, recorded with the transformers it pins."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from baselines.common import wording
from baselines.common.languages import byte_tokenizer, text_config
from baselines.common.llava import write_conversation
from baselines.common.processing import add_tokens, shifted, start_ids
from baselines.common.prompt import IGNORE, IMAGE_ID, NO_TARGET_ANSWER
from baselines.lisa.learner import new_config
from baselines.lisa.predictor import LisaProcessor
from earthreason.errors import EarthReasonError

PUBLISHED = Path(__file__).parent / "published"
RECORDED = json.loads((PUBLISHED / "conversations.json").read_text())
SEG = RECORDED["added"]["[SEG]"]
SEGMENT = "Please output segmentation mask."


@pytest.fixture(scope="module")
def tokenizer():
    """A small LLaMA vocabulary with LISA's added tokens."""
    tokenizer = AutoTokenizer.from_pretrained(PUBLISHED)
    tokenizer.pad_token = tokenizer.unk_token
    return tokenizer


@pytest.fixture
def processor(tokenizer):
    return processor_of(tokenizer, "published")


def processor_of(tokenizer, kind):
    config = new_config("mini", 256, text_config("mini", len(tokenizer)), SEG, False)
    config.wording = kind
    return LisaProcessor.for_model(config, tokenizer)


def with_one_image_token(prompt):
    """The ids as the public code has them before the image is put in."""
    first = prompt.input_ids.index(IMAGE_ID)
    rest = [n for n in range(len(prompt.input_ids)) if n <= first or prompt.input_ids[n] != IMAGE_ID]
    return [prompt.input_ids[n] for n in rest], [prompt.labels[n] for n in rest]


@pytest.mark.parametrize(
    ("name", "question", "task"),
    [("sentence", "Where could a boat moor?", "reasoning"), ("phrase", "A small SHIP", "referring")],
)
def test_a_question_is_asked_as_the_public_code_scores_it(processor, name, question, task):
    ids, _ = with_one_image_token(processor.prompt(question, task))
    expected = RECORDED[name]["ids"]
    assert ids == expected[: expected.index(SEG) + 1]


@pytest.mark.parametrize(
    ("name", "request_", "opening", "closing"),
    [
        ("sentence", SEGMENT, "", "."),
        ("opening", "Please respond with segmentation mask.", "It is ", "."),
        (
            "explained",
            "Please output segmentation mask and explain why.",
            "Sure, the segmentation result is ",
            ". The ship is there.",
        ),
    ],
)
def test_an_answer_has_the_ids_and_labels_of_the_public_code(tokenizer, name, request_, opening, closing):
    message = f"\nWhere could a boat moor? {request_}"
    prompt = write_conversation(tokenizer, 1, message, opening, [SEG], closing)
    assert [tokenizer.bos_token_id, *prompt.input_ids] == RECORDED[name]["ids"]
    assert [IGNORE, *prompt.labels] == RECORDED[name]["labels"]


def test_the_spaces_between_pixellms_tokens_change_no_id(tokenizer):
    codebook = [RECORDED["added"][f"[SEG{n}]"] for n in range(2)]
    message = f"\nWhere could a boat moor? {SEGMENT}"
    prompt = write_conversation(tokenizer, 1, message, "", codebook, ".")
    assert [tokenizer.bos_token_id, *prompt.input_ids] == RECORDED["codebook"]["ids"]
    assert [IGNORE, *prompt.labels] == RECORDED["codebook"]["labels"]


def test_the_recorded_ids_start_with_the_start_token_and_so_do_both_wordings(tokenizer, processor):
    assert {RECORDED[name]["ids"][0] for name in ("sentence", "phrase", "opening", "explained")} == {1}
    own = processor_of(tokenizer, "own").prompt("where?")
    assert own.input_ids[0] == processor.prompt("where?").input_ids[0] == 1
    assert own.labels[0] == IGNORE
    assert not own.question[0]


def test_a_tokenizer_that_puts_nothing_before_a_text_starts_with_the_text():
    tokenizer = byte_tokenizer()  # has a start token, but does not use it, as GPT-2's
    add_tokens(tokenizer)
    processor = LisaProcessor(tokenizer, 256, 4)
    assert start_ids(tokenizer) == []
    assert tokenizer.decode(processor.prompt("where?").input_ids[:6]) == "A user"


def test_the_mask_is_made_from_the_state_before_its_token(processor):
    prompt = processor.prompt("Where could a boat moor?")
    (place,) = [n for n, chosen in enumerate(prompt.question) if chosen]
    assert prompt.input_ids[place + 1] == SEG
    assert prompt.input_ids.index(SEG) == place + 1
    assert len(prompt.question) == len(prompt.input_ids) == len(prompt.labels)
    assert shifted(prompt).question.index(True) == place - 1


def test_the_image_stands_between_its_two_tokens(tokenizer, processor):
    ids = processor.prompt("Where?").input_ids
    first = ids.index(IMAGE_ID)
    last = first + processor.visual_tokens
    added = tokenizer.get_added_vocab()
    assert ids[first - 1] == added["<im_start>"]
    assert ids[last] == added["<im_end>"]
    assert set(ids[first:last]) == {IMAGE_ID}


def replies_of(processor, task, answer, count=200):
    """The taught texts before and after the mask token, for many questions."""
    return [wording.teach(f"where is number {n}?", task, answer) for n in range(count)]


def test_every_published_question_and_answer_is_taught_about_as_often_as_another(processor):
    turns = replies_of(processor, "reasoning", "There.")
    openings = [turn.opening for turn in turns]
    assert {opening: openings.count(opening) > 20 for opening in wording.OPENINGS} == dict.fromkeys(
        wording.OPENINGS, True
    )
    explained = [turn for turn in turns if turn.closing == ". There."]
    assert 70 < len(explained) < 130
    assert all("expla" in turn.message for turn in explained)
    assert all("expla" not in turn.message and turn.closing == "." for turn in turns if turn not in explained)
    named = {turn.message.rpartition("? ")[2] for turn in turns}
    assert named == {text.partition("} ")[2] for text in (*wording.SENTENCE_QUESTIONS, *wording.EXPLANATION_REQUESTS)}


def test_expressions_are_taught_in_small_letters_and_without_words(processor):
    turns = [wording.teach(f"The Ship {n}", "referring", None) for n in range(100)]
    assert {turn.closing for turn in turns} == {"."}
    assert all(f"ship {n}" in turn.message and "Ship" not in turn.message for n, turn in enumerate(turns))
    assert len({turn.message.replace(f"the ship {n}", "") for n, turn in enumerate(turns)}) == 4


def test_a_question_without_a_target_is_worded_as_one_with(processor):
    closings = {turn.closing for turn in replies_of(processor, "reasoning", None)}
    assert closings == {".", f". {NO_TARGET_ANSWER}"}


def test_the_same_texts_are_taught_alike_each_time(processor):
    first, again = (processor.prompt("Where could a boat moor?", answer="There.", reply=True) for _ in range(2))
    assert first == again
    assert first.input_ids[-1] == processor.tokenizer.eos_token_id == first.labels[-1]


def test_a_tokenizer_without_the_image_tokens_is_no_published_one():
    tokenizer = byte_tokenizer()
    add_tokens(tokenizer)
    with pytest.raises(EarthReasonError, match="no <im_start> token; is it that of a Lisa checkpoint"):
        processor_of(tokenizer, "published")


def test_beside_adapters_the_embeddings_of_all_new_tokens_are_trained(tokenizer, processor):
    added = tokenizer.get_added_vocab()
    assert processor.added_ids == [added[token] for token in ("[SEG]", "<im_start>", "<im_end>")]
    assert processor_of(tokenizer, "own").added_ids == [SEG]
