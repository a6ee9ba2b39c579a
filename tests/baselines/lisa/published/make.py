"""Record the ids and labels of LISA's and PixelLM's conversations in the environment that both pin.

Run with `pip install transformers==4.31.0 sentencepiece`. The rules are those of `tokenizer_image_token` and
`collate_fn` in github.com/dvlab-research/LISA (3cb2d430), written anew; the vocabulary is a small one of the same kind,
as LLaMA's may not be passed on.
"""

import json
import tempfile
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer, LlamaTokenizer

HERE = Path(__file__).parent
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
TEXTS = [
    SYSTEM + " USER: ASSISTANT: ",
    "Please output segmentation mask. What is the ship in this image? It is there. "
    "Sure, the segmentation result is this.",
    "Where could a boat moor? which of these burns first, and why would it do so? "
    "Can you segment the camera in this image?",
] * 20
TURNS = {  # what the user writes, and the answer
    "sentence": ("<image>\n Where could a boat moor? Please output segmentation mask.", "[SEG]."),
    "phrase": ("<image>\n What is a small ship in this image? Please output segmentation mask.", "[SEG]."),
    "opening": ("<image>\nWhere could a boat moor? Please respond with segmentation mask.", "It is [SEG]."),
    "explained": (
        "<image>\nWhere could a boat moor? Please output segmentation mask and explain why.",
        "Sure, the segmentation result is [SEG]. The ship is there.",
    ),
    "codebook": ("<image>\n Where could a boat moor? Please output segmentation mask.", "[SEG0] [SEG1]."),
}
IMAGE, IGNORE = -200, -100


def train_vocabulary(folder: Path) -> None:
    """A byte-fallback BPE vocabulary with the settings of LLaMA's."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=420,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )


def load_as_published(folder: Path):
    tokenizer = LlamaTokenizer(str(folder / "tokenizer.model"))
    tokenizer.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=512, padding_side="right", use_fast=False)
    tokenizer.pad_token = tokenizer.unk_token
    tokenizer.add_tokens("[SEG]")
    tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
    tokenizer.add_tokens(["[SEG0]", "[SEG1]"])  # two of PixelLM's tokens, in place of LISA's one
    return tokenizer


def image_ids(tokenizer, text: str) -> list[int]:
    """One placeholder for the image; each part around it is tokenized on its own, the start token once."""
    before, after = (tokenizer(part).input_ids for part in text.split("<image>"))
    return [*before, IMAGE, *after[1:]]


def labels(tokenizer, text: str, ids: list[int]) -> list[int]:
    """Nothing is learned up to "ASSISTANT: ", counted as the public code counts it."""
    instruction = text.split("</s>")[0].split(" ASSISTANT: ")[0] + " ASSISTANT: "
    start = 1 + len(image_ids(tokenizer, instruction)) - 2
    return [IGNORE] * start + ids[start:]


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        train_vocabulary(folder)
        tokenizer = load_as_published(folder)
        (HERE / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
        record = {"added": tokenizer.get_added_vocab()}
        for name, (question, answer) in TURNS.items():
            text = f"{SYSTEM} USER: {question} ASSISTANT: {answer}</s>"
            text = text.replace("<image>", "<im_start><image><im_end>")
            ids = image_ids(tokenizer, text)
            record[name] = {"ids": ids, "labels": labels(tokenizer, text, ids)}
    (HERE / "conversations.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
