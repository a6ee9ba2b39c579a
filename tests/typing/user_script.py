"""Score predictions, look at the result, and train with the judge."""

import numpy as np
import torch
from torch.utils.data import DataLoader

from earthreason import RegionAccumulator, Result, evaluate, load_dataset
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.torch import PixelReasoningMetric
from earthreason.predictions import read_predictions, write_predictions
from earthreason.torch import PixelReasoningDataset, collate
from earthreason.types import Prediction

test = load_dataset("earthreason", "sample", split="test")
masks = {row["sample_id"]: np.asarray(row["mask"]) != 0 for row in test}
result: Result = evaluate(masks, test, protocol="native", missing="empty")
score: float | None = result["gIoU"]
write_predictions("predictions.json", [Prediction("a", None)])
loaded = evaluate(read_predictions("predictions.json"), {"a": np.zeros((4, 4), bool)})
merged = evaluate("results.json", test, instances="union", protocol="native")
both = evaluate_protocols(masks, test, ["native", "lisa"], missing="empty", instances="error")
judge = RegionAccumulator(["native"])
judge.update("a", torch.zeros(4, 4), np.zeros((4, 4), bool))
gious: dict[str, float | None] = judge.compute()
splits = load_dataset("earthreason", "sample")
stream = load_dataset("earthreason", "sample", split="train", streaming=True)
first = next(iter(stream))["sample_id"]
items = PixelReasoningDataset(splits["train"], side=256, questions="random")
loader = DataLoader(items, batch_size=4, collate_fn=collate)
metric = PixelReasoningMetric("native")
for batch in loader:
    metric.update([None] * 4, batch["native_mask"], batch["sample_id"])
    metric.update([None] * 4, batch["native_mask"], batch["sample_id"], ignores=[None] * 4)
scores: dict[str, torch.Tensor] = metric.compute()
single = dict(metric.items())["gIoU"]
facts = (score, loaded["cIoU"], gious, scores["Pr_0_5"].item(), len(items[0]["question"]))
