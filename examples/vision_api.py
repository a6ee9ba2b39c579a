"""Ask a vision-language model behind an OpenAI-compatible server for boxes, and score the boxes as masks.

    OPENAI_API_KEY=... python examples/vision_api.py --model gpt-4o --n 20
    python examples/vision_api.py --model qwen2.5-vl --base-url http://localhost:8000/v1    # needs no key

With SAM behind the boxes: `python -m baselines predict --model vlm_sam ...`.
"""

import argparse

import numpy as np

from baselines.vlm_sam.grounding import SCALE, ask_where
from earthreason import evaluate, load_dataset
from earthreason.questions.client import ClientConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url")
    parser.add_argument("--n", type=int, default=20, help="test samples")
    a = parser.parse_args()
    rows = load_dataset("earthreason", "sample", split=f"test[:{a.n}]")
    found = ask_where(rows["image"], [q[0] for q in rows["questions"]], a.model, ClientConfig(base_url=a.base_url))
    predictions = {}
    for row, where in zip(rows, found, strict=True):
        mask = None
        if where is not None and where.found and where.box is not None:
            left, top, right, bottom = np.array(where.box) / SCALE * np.tile([row["width"], row["height"]], 2)
            mask = np.zeros((row["height"], row["width"]), bool)
            mask[round(top) : round(bottom), round(left) : round(right)] = True
        predictions[row["sample_id"]] = mask
    result = evaluate(predictions, rows)
    print(f"gIoU {result['gIoU']:.3f}, N-acc {result['N-acc']}, T-acc {result['T-acc']:.3f} on {len(rows)} samples")


if __name__ == "__main__":
    main()
