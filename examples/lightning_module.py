"""Train the network of pytorch_loop.py with PyTorch Lightning, using the judge as validation metric.

Lightning is in the dev extra, or install it by itself:

    pip install lightning
    python examples/lightning_module.py --steps 200
"""

import argparse

import lightning
import torch
from pytorch_loop import SIDE, logits_of, network
from torch.nn import functional as F
from torch.utils.data import DataLoader

from earthreason import load_dataset
from earthreason.metrics.torch import PixelReasoningMetric
from earthreason.torch import PixelReasoningDataset, collate, restore_logits


class PixelReasoning(lightning.LightningModule):
    """Train a network that sees only the image, and validate it with the official protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network
        self.judge = PixelReasoningMetric()

    def training_step(self, batch: dict, _: int) -> torch.Tensor:
        target = F.avg_pool2d(batch["mask"].float().unsqueeze(1), 8).squeeze(1)
        return F.binary_cross_entropy_with_logits(logits_of(batch["image"]), target)

    def validation_step(self, batch: dict, _: int) -> None:
        sizes = zip(batch["height"], batch["width"], strict=True)
        predicted = [
            restore_logits(logits, SIDE, *size) > 0
            for logits, size in zip(logits_of(batch["image"]), sizes, strict=True)
        ]
        # Score at the images' own size: a target shrunk to the canvas has lost detail, and scores come out too high.
        self.judge.update(predicted, batch["native_mask"], batch["sample_id"], batch["question_index"])
        self.log_dict(dict(self.judge.items()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.network.parameters(), lr=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    lightning.seed_everything(0)
    splits = {name: load_dataset("earthreason", "sample", split=name) for name in ("train", "validation")}
    train, validation = (
        DataLoader(PixelReasoningDataset(rows, SIDE), batch_size=16, shuffle=name == "train", collate_fn=collate)
        for name, rows in splits.items()
    )
    trainer = lightning.Trainer(max_steps=steps, logger=False, enable_checkpointing=False, accelerator="auto")
    module = PixelReasoning()
    trainer.fit(module, train, validation)
    (scores,) = trainer.validate(module, validation, verbose=False)
    print(f"validation gIoU {scores['gIoU']:.3f}")


if __name__ == "__main__":
    main()
