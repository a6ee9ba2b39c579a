"""Score models on the real images of ../shared/data, with a hand-written question for each kind of target.

    python benchmarks/real_images.py --checkpoint runs/tiny/final

Asks about 80 masks of 40 images at native resolution, and compares with saliency and marking everything.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.registry import PredictorOptions, build_predictor
from earthreason import evaluate
from earthreason.metrics.formats import format_interval
from earthreason.predictions.predict import predict_samples
from earthreason.types import Sample

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_samples"
QUESTIONS = {
    "building": "What keeps people dry at night here?",
    "building with rooftop solar": "Which roofs turn sunshine into electric power?",
    "cinema": "Where would people sit in the dark and watch a film?",
    "dead trees": "What would burn first in a dry summer?",
    "hotel": "Where would a traveller find a bed for the night?",
    "living trees": "What still carries leaves and casts cool shade?",
    "municipal office": "Where would one go to ask for a building permit?",
    "place of worship": "Where would people gather to pray?",
    "road": "Along what would a bus drive through here?",
    "school": "Where would children spend a weekday morning?",
    "tin-roofed building": "Under which roofs would rain be loudest?",
    "tree": "Where would a squirrel find shelter?",
    "tree cover": "Where would a squirrel find shelter?",
    "tree crowns": "Where would a squirrel jump from branch to branch?",
    "vegetation": "Where would birds find shade and branches?",
    "water": "Where would a heron stand and wait for fish?",
}


def read_samples() -> list[Sample]:
    samples = []
    for line in (REAL / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        image = Image.open(REAL / row["image"]).convert("RGB")
        for target in row["targets"]:
            mask = np.asarray(Image.open(REAL / target["mask"]).convert("L")) > 0
            name = f"{row['image_id']} {target['target']}"
            samples.append(Sample(name, image, mask, [QUESTIONS[target["target"]]]))
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="segearth_r1")
    parser.add_argument("--checkpoint", required=True)
    a = parser.parse_args()
    samples = read_samples()
    truth = {sample.sample_id: sample.mask for sample in samples}
    for name in (a.model, "saliency", "everything"):
        predictor = build_predictor(name, PredictorOptions(checkpoint=a.checkpoint))
        result = evaluate(list(predict_samples(predictor, samples)), truth, "native")
        interval = format_interval(result.intervals.get("gIoU")) or "too few images"
        print(
            f"{name:12s} gIoU {100 * result['gIoU']:5.1f} ({interval})"
            f"  N-acc {100 * result['N-acc']:.0f}  T-acc {100 * result['T-acc']:.0f}"
        )


if __name__ == "__main__":
    main()
