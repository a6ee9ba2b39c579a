"""Train a small convolutional network with a plain PyTorch loop, then score it.

The network never reads the question, so its score shows how much the image alone gives away.

    python examples/pytorch_loop.py --steps 200
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from earthreason import evaluate, load_dataset
from earthreason.torch import PixelReasoningDataset, collate, letterbox_image, restore_logits

SIDE = 128


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(4, outputs), nn.ReLU())


network = nn.Sequential(block(3, 16), block(16, 32), block(32, 64), nn.Conv2d(64, 1, 1))


def logits_of(images: torch.Tensor) -> torch.Tensor:
    """Map uint8 images (B, 3, SIDE, SIDE) to logits (B, SIDE / 8, SIDE / 8)."""
    return network(images.float() / 127.5 - 1).squeeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    train = PixelReasoningDataset(load_dataset("earthreason", "sample", split="train"), SIDE, questions="random")
    loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    step = 0
    while step < steps:
        train.set_epoch(step)
        for batch in loader:
            target = F.avg_pool2d(batch["mask"].float().unsqueeze(1), 8).squeeze(1)
            loss = F.binary_cross_entropy_with_logits(logits_of(batch["image"]), target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step == steps:
                break
    test = load_dataset("earthreason", "sample", split="test")
    predictions = {}
    with torch.inference_mode():
        for row in test:
            logits = logits_of(letterbox_image(row["image"], SIDE).unsqueeze(0))[0]
            predictions[row["sample_id"]] = (restore_logits(logits, SIDE, row["height"], row["width"]) > 0).numpy()
    result = evaluate(predictions, test)
    print(f"after {steps} steps: loss {loss.item():.3f}, gIoU {result['gIoU']:.3f} on {len(test)} test scenes")


if __name__ == "__main__":
    main()
