"""Folders with a `tokenizer.model` only, as LLaMA's slow tokenizer saves them."""

import json
import sys

import pytest
from transformers.utils import import_utils

from baselines.common.languages import load_language
from baselines.common.processing import Processor, start_ids
from earthreason.errors import EarthReasonError

TEXTS = ["Where could a boat moor? The ship is near the harbour.", "Please output segmentation mask."] * 20
ASKED = ("Where could a ship moor?", "the harbour, 27 boats", "Größe  of ✈", ". The ship is near")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A folder as `save_pretrained` of the slow tokenizer leaves it, with a newly trained vocabulary."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("slow")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    settings = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": True, "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "added_tokens.json").write_text(json.dumps({"[SEG]": 320}))
    return folder


def test_a_slow_tokenizer_gives_the_ids_of_sentencepiece(slow):
    sentencepiece = pytest.importorskip("sentencepiece")
    reference = sentencepiece.SentencePieceProcessor(model_file=str(slow / "tokenizer.model"))
    tokenizer = Processor.load_tokenizer(slow)
    for text in ASKED:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == reference.encode(text)
    assert tokenizer.get_vocab()["[SEG]"] == 320
    assert start_ids(tokenizer) == [reference.bos_id()] == [1]


def test_a_slow_tokenizer_is_the_same_after_it_was_saved(slow, tmp_path):
    Processor.load_tokenizer(slow).save_pretrained(tmp_path)
    again = Processor.load_tokenizer(tmp_path)
    assert start_ids(again) == [1]
    assert all(again(text)["input_ids"] == Processor.load_tokenizer(slow)(text)["input_ids"] for text in ASKED)


@pytest.fixture
def without_sentencepiece(monkeypatch):
    found = import_utils.BACKENDS_MAPPING["sentencepiece"]
    monkeypatch.setitem(import_utils.BACKENDS_MAPPING, "sentencepiece", (lambda: False, found[1]))
    monkeypatch.setitem(sys.modules, "sentencepiece", None)


@pytest.mark.parametrize("load", [Processor.load_tokenizer, load_language])
def test_without_sentencepiece_the_right_package_is_advised(tmp_path, load, without_sentencepiece):
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    with pytest.raises(EarthReasonError, match="tokenizer.model needs: pip install sentencepiece$") as caught:
        load(tmp_path)
    assert "tiktoken" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_tokenizer_model_that_is_none_is_named(tmp_path):
    pytest.importorskip("sentencepiece")
    (tmp_path / "tokenizer.model").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    with pytest.raises(EarthReasonError, match="its tokenizer.model is no file of sentencepiece; download it again"):
        Processor.load_tokenizer(tmp_path)
