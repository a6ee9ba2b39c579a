"""Measure images per second from files to a predictions file, at full size in bfloat16, and of the model alone.

Weights are random. The scenes have sides of 1,200 px, so they are decoded and letterboxed, and their masks restored.
"""

from __future__ import annotations

import time

import torch

from baselines.common.devices import DTYPES
from baselines.common.languages import learned_tokenizer
from baselines.common.processing import add_tokens
from baselines.common.run import predict_rows
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.segearth_r1.processing import SegEarthR1Processor
from baselines.segearth_r1.prompt import fixed_texts
from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.inference import size_of
from benchmarks.gpu.timing import median_ms
from benchmarks.ways import make_model
from earthreason import load_dataset

BATCH = 8


def main(context: Context) -> None:
    rows = load_dataset("earthreason", split="test", data_dir=context.work / "scenes" / "large")
    model = make_model(*size_of(context), DTYPES["bfloat16"], keeps_maps=False)
    texts = [text for questions in rows["questions"] for text in questions]
    tokenizer = learned_tokenizer([*texts, *fixed_texts()], 900 if context.toy else 4000)
    add_tokens(tokenizer)
    predictor = SegEarthR1Predictor(model, SegEarthR1Processor.for_model(model.config, tokenizer), BATCH)
    first = [rows[n] for n in range(min(BATCH, len(rows)))]
    images, questions = [row["image"] for row in first], [row["questions"][0] for row in first]
    predictor.predict(images, questions)
    prepared = predictor._prepare(images, questions)
    alone = median_ms(lambda: predictor._forward(prepared), context.device == "cuda")
    began = time.perf_counter()
    predict_rows(predictor, rows, "first", context.work / "preds.json", {"model": "random"}, BATCH)
    seconds = time.perf_counter() - began
    context.row(
        images=len(rows),
        side=rows[0]["width"],
        dtype="bfloat16",
        batch=BATCH,
        seconds=round(seconds, 2),
        images_per_s=round(len(rows) / seconds, 1),
        model_images_per_s=round(1000 * len(images) / alone, 1),
        compiled=False,
        threads=torch.get_num_threads(),
    )


if __name__ == "__main__":
    main(read_context())
