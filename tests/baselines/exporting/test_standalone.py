"""The program beside an exported model prepares and restores as the checkpoint does, without PyTorch.

Expected values come from PyTorch's own `interpolate` (through `earthreason.torch`) and from the processors.
"""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.exporting import standalone
from baselines.exporting.prompts import describe_prompt
from baselines.exporting.standalone import ExportedModel
from baselines.training.config import TrainConfig
from baselines.training.learner import build_learner
from earthreason.torch import letterbox_image, restore_logits

SIZES = [(200, 300), (300, 200), (128, 128), (1, 1), (1, 400), (97, 103), (64, 31), (129, 128)]
QUESTIONS = [
    "where could a boat moor?",
    "  The   ship, that is Largest \n of all",
    "what is [SEG] or [PAD] or [SEG0]?",
    "où est-ce que le café se trouve ?",
    "x",
]


class Prepared(ExportedModel):
    """The program without a network."""

    def _load(self):
        pass


def prepared(folder, processor, task="reasoning", channels=3):
    processor.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    prompt = describe_prompt(processor, task)
    facts = {"canvas_side": processor.image_size, "channels": channels, "prompt": prompt}
    (folder / "export.json").write_text(json.dumps(facts))
    return Prepared(folder)


@pytest.fixture(scope="module")
def processors():
    made = {}
    for name in ("segearth_r1", "psalm", "lisa", "pixellm"):
        config = {"model": {"name": name, "size": "mini", "image_size": 128}}
        learner = build_learner(TrainConfig.model_validate(config), lambda: ["where could a boat moor?"] * 3)
        made[name] = learner.processor
    return made


@pytest.mark.parametrize("task", ["reasoning", "referring"])
@pytest.mark.parametrize("name", ["segearth_r1", "psalm", "lisa", "pixellm"])
def test_every_prompt_has_the_ids_and_marks_of_the_checkpoint(processors, name, task, tmp_path):
    model = prepared(tmp_path, processors[name], task)
    for question in QUESTIONS:
        expected = processors[name].prompt(question, task)
        assert model.prompt(question) == (expected.input_ids, expected.question), question


def test_the_published_conversation_marks_the_last_token_of_its_text(processors, tmp_path):
    """LISA's published prompt ends in the user's text, so the state that predicts `[SEG]` is that of its last token."""
    processor = processors["lisa"]
    tokenizer = processor.tokenizer
    tokenizer.add_tokens(["<im_start>", "<im_end>"])
    published = type(processor)(tokenizer, processor.image_size, processor.visual_tokens, 1024)
    published.wording = "published"
    for task in ("reasoning", "referring"):
        model = prepared(tmp_path, published, task)
        assert model.facts["prompt"]["marks"] == "last"
        for question in QUESTIONS:
            expected = published.prompt(question, task)
            assert model.prompt(question) == (expected.input_ids, expected.question), question


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["segearth_r1", "lisa"])
def test_pixels_are_those_of_pytorch_to_the_last_grey_level(processors, name, size, tmp_path):
    rng = np.random.default_rng(sum(size))
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    processor = processors[name]
    expected = processor.pixels([image])[0].numpy()
    model = prepared(tmp_path, processor, channels=len(expected))
    assert np.array_equal(model.letterbox(image), expected)


def test_grey_and_transparent_pictures_become_rgb_as_in_the_package(processors, tmp_path):
    model = prepared(tmp_path, processors["segearth_r1"])
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 4), dtype=np.uint8)
    for image in (Image.fromarray(pixels), Image.fromarray(pixels[..., 0]), Image.fromarray(pixels).quantize(8)):
        assert np.array_equal(model.letterbox(image), letterbox_image(image, 128).numpy())


@pytest.mark.parametrize("size", SIZES)
def test_logits_are_restored_as_by_pytorch(processors, size, tmp_path):
    logits = np.random.default_rng(sum(size)).normal(0, 8, (32, 32)).astype(np.float32)
    expected = restore_logits(torch.from_numpy(logits), 128, *size).numpy()
    found = prepared(tmp_path, processors["segearth_r1"]).restore(logits, *size)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("question", ["", " \n ", "a" * 5000, "lone \ud800"])
def test_a_question_that_the_model_cannot_read_is_refused(processors, question, tmp_path):
    with pytest.raises(ValueError, match="the question"):
        prepared(tmp_path, processors["segearth_r1"]).prompt(question)


def test_a_picture_of_16_bits_is_refused(processors, tmp_path):
    image = Image.fromarray(np.zeros((8, 8), np.uint16))
    with pytest.raises(ValueError, match="give 8 bits a channel"):
        prepared(tmp_path, processors["segearth_r1"]).letterbox(image)


@pytest.mark.parametrize("questions", [[], ["one", "two"], "a"])
def test_other_numbers_of_pictures_and_questions_are_refused(processors, questions, tmp_path):
    model = prepared(tmp_path, processors["segearth_r1"])
    with pytest.raises(ValueError, match="give two lists of the same length"):
        model.ask([Image.new("RGB", (8, 8))], questions)
    assert model.ask([], []) == []


def test_the_program_imports_nothing_of_the_package_and_no_pytorch():
    tree = ast.parse(Path(standalone.__file__).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert foreign == {"numpy", "PIL", "tokenizers", "onnxruntime"}
