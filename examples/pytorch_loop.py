"""Train a small convolutional network with a plain PyTorch loop, and score it with the judge after every epoch.

The network never reads the question, so its score shows how much the image alone gives away.

    python examples/pytorch_loop.py --steps 200
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from earthreason import RegionAccumulator, load_dataset
from earthreason.torch import PixelReasoningDataset, collate, restore_logits

SIDE = 128


def build_network() -> nn.Sequential:
    """Return a network from (B, 3, SIDE, SIDE) to (B, 1, SIDE / 8, SIDE / 8)."""

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(4, outputs), nn.ReLU())

    return nn.Sequential(block(3, 16), block(16, 32), block(32, 64), nn.Conv2d(64, 1, 1))


def logits_of(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Map uint8 images (B, 3, SIDE, SIDE) to logits (B, SIDE / 8, SIDE / 8)."""
    return network(images.float() / 127.5 - 1).squeeze(1)


def loss_of(network: nn.Module, batch: dict) -> torch.Tensor:
    target = F.avg_pool2d(batch["mask"].float().unsqueeze(1), 8).squeeze(1)
    return F.binary_cross_entropy_with_logits(logits_of(network, batch["image"]), target)


def masks_of(network: nn.Module, batch: dict) -> list[torch.Tensor]:
    """Predict a bool mask for each question of a batch, at the size of its image."""
    side = batch["image"].shape[-1]
    sizes = zip(logits_of(network, batch["image"]), batch["height"], batch["width"], strict=True)
    return [restore_logits(logits, side, height, width) > 0 for logits, height, width in sizes]


@torch.inference_mode()
def validate(network: nn.Module, loader: DataLoader) -> RegionAccumulator:
    """Judge the network on every question of a loader; `compute()` gives what `earthreason.evaluate` would.

    The judge takes single questions, so batches may be uneven. Do not average the scores of batches instead.
    """
    judge = RegionAccumulator()
    network.eval()
    for batch in loader:
        # Score at the images' own size: a target shrunk to the canvas has lost detail, and scores come out too high.
        answered = (batch["sample_id"], masks_of(network, batch), batch["native_mask"], batch["question_index"])
        for question in zip(*answered, strict=True):
            judge.update(*question)
    network.train()
    return judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    network = build_network()
    splits = {name: load_dataset("earthreason", "sample", split=name) for name in ("train", "validation", "test")}
    train = PixelReasoningDataset(splits["train"], SIDE, questions="random")
    loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)
    # The judge's default protocol asks the first question about each image.
    validation, test = (
        DataLoader(PixelReasoningDataset(splits[name], SIDE), batch_size=16, collate_fn=collate)
        for name in ("validation", "test")
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    step = epoch = 0
    while step < steps:
        train.set_epoch(epoch)
        for batch in loader:
            loss = loss_of(network, batch)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step == steps:
                break
        epoch += 1
        score = validate(network, validation).compute()["gIoU"]
        print(f"step {step}: loss {loss.item():.3f}, validation gIoU {score:.3f}")
    judge = validate(network, test)
    print(
        f"after {steps} steps: loss {loss.item():.3f}, gIoU {judge.compute()['gIoU']:.3f} on {len(judge)} test scenes"
    )


if __name__ == "__main__":
    main()
