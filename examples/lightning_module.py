"""Train the network of pytorch_loop.py with PyTorch Lightning, using the judge as validation metric.

Lightning is in the dev extra, or install it by itself:

    pip install lightning
    python examples/lightning_module.py --steps 200
"""

import argparse

import lightning
import torch
from pytorch_loop import SIDE, build_network, loss_of, masks_of
from torch.utils.data import DataLoader

from earthreason import load_dataset
from earthreason.metrics.torch import PixelReasoningMetric
from earthreason.torch import PixelReasoningDataset, collate


class PixelReasoning(lightning.LightningModule):
    """Train a network that sees only the image, and validate it with the official protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.network = build_network()
        self.judge = PixelReasoningMetric()

    def training_step(self, batch: dict, _: int) -> torch.Tensor:
        return loss_of(self.network, batch)

    def validation_step(self, batch: dict, _: int) -> None:
        # Score at the images' own size: a target shrunk to the canvas has lost detail, and scores come out too high.
        answers = masks_of(self.network, batch)
        self.judge.update(answers, batch["native_mask"], batch["sample_id"], batch["question_index"])
        # Lightning computes the scores once over the epoch and all processes, and resets the judge.
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
