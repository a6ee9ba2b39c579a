"""Write tokenizer.json from tokenizer.model with the installed transformers (needs sentencepiece and protobuf)."""

import shutil
import tempfile
from pathlib import Path

from transformers import LlamaTokenizer

HERE = Path(__file__).parent

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "tokenizer.model", folder)
        tokenizer = LlamaTokenizer.from_pretrained(folder, add_bos_token=True)
    tokenizer.add_tokens(["[SEG]"])
    tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
    tokenizer.save_pretrained(HERE)
