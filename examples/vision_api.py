"""Ask a vision-language model on an OpenAI-compatible server for boxes, and score the boxes as masks.

    OPENAI_API_KEY=... python examples/vision_api.py --model gpt-4o --n 20
    python examples/vision_api.py --model qwen2.5-vl --base-url http://localhost:8000/v1    # needs no key

To turn the boxes into masks with SAM, use `earthreason-baselines predict --model vlm_sam --checkpoint SAM ...`.
"""

import argparse

from baselines.registry import PredictorOptions, build_predictor
from earthreason import evaluate, load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.predictions.predict import predict_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url")
    parser.add_argument("--coordinates", help="how the model gives them, if its name does not say so")
    parser.add_argument("--n", type=int, default=20, help="number of test samples")
    options = parser.parse_args()
    rows = load_dataset("earthreason", "sample", split=f"test[:{options.n}]")
    asked = PredictorOptions(vlm=options.model, base_url=options.base_url, coordinates=options.coordinates)
    predictor = build_predictor("vlm_sam", asked)
    result = evaluate(list(predict_samples(predictor, map(sample_of_row, rows))), rows)
    print(f"gIoU {result['gIoU']:.3f}, N-acc {result['N-acc']}, T-acc {result['T-acc']:.3f} on {len(rows)} samples")
    print(f"{result.failed} answers could not be read and score as wrong")


if __name__ == "__main__":
    main()
