"""Ask a vision-language model on an OpenAI-compatible server for boxes, and score the boxes as masks.

    OPENAI_API_KEY=... python examples/vision_api.py --model gpt-4o --n 20
    python examples/vision_api.py --model qwen2.5-vl --base-url http://localhost:8000/v1    # needs no key

To turn the boxes into masks with SAM, use `python -m baselines predict --model vlm_sam ...`.
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
    parser.add_argument("--n", type=int, default=20, help="number of test samples")
    options = parser.parse_args()
    rows = load_dataset("earthreason", "sample", split=f"test[:{options.n}]")
    first_questions = [questions[0] for questions in rows["questions"]]
    answers = ask_where(rows["image"], first_questions, options.model, ClientConfig(base_url=options.base_url))
    predictions = {}
    for row, answer in zip(rows, answers, strict=True):
        mask = None
        if answer is not None and answer.found and answer.box is not None:
            left, top, right, bottom = np.array(answer.box) / SCALE * np.tile([row["width"], row["height"]], 2)
            mask = np.zeros((row["height"], row["width"]), bool)
            mask[round(top) : round(bottom), round(left) : round(right)] = True
        predictions[row["sample_id"]] = mask
    result = evaluate(predictions, rows)
    print(f"gIoU {result['gIoU']:.3f}, N-acc {result['N-acc']}, T-acc {result['T-acc']:.3f} on {len(rows)} samples")


if __name__ == "__main__":
    main()
