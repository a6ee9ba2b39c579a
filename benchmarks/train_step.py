"""A training step of SegEarth-R1: ours against the same step done as the reference code does it.

    python benchmarks/train_step.py                          reduced size, CPU
    python benchmarks/train_step.py --size full --device cuda --batch 2 --dtype bfloat16

The reference way: the (frozen) vision tower runs twice, attention is a softmax over explicit scores and its maps are
kept, logits of all words are computed at every position, and AdamW goes over the parameters one by one. Weights are
random and the same, so the losses have to agree. Each way runs in a process of its own; batches repeat.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from segearth_r1 import REPLY, make_batch, make_config, read_arguments
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from baselines.common.dtypes import DTYPES
from baselines.common.pixels import normalise
from baselines.common.prompt import IMAGE_ID
from baselines.segearth_r1.losses import MaskLossConfig, mask_losses
from baselines.segearth_r1.modeling import ImageFeatures, SegEarthR1Model

Inputs = dict[str, torch.Tensor]


def ours(model: SegEarthR1Model, inputs: Inputs) -> torch.Tensor:
    loss = model(**inputs).loss
    assert loss is not None
    return loss


def reference_way(model: SegEarthR1Model, inputs: Inputs) -> torch.Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        pixels = normalise(inputs["pixel_values"]).to(model.dtype)
        visual = model.connector(model.vision_tower(pixels)[-1])
        ids = inputs["input_ids"]
        words = model.get_input_embeddings()(ids.clamp(min=0))
        words = torch.where((ids == IMAGE_ID).unsqueeze(-1), _spread(visual, ids), words)
        read = model.language_model(
            inputs_embeds=words, attention_mask=inputs["attention_mask"], use_cache=False, output_attentions=True
        )
        features = model.vision_tower(pixels)
        image = ImageFeatures(features[-1], visual, *model.pixel_decoder(features))
        _, logits, _ = model.decode(read.last_hidden_state, inputs["question_mask"], image)
    every = model.lm_head(read.last_hidden_state)[:, :-1].flatten(0, 1).float()
    language = F.cross_entropy(every, inputs["labels"][:, 1:].flatten(), ignore_index=-100)
    return torch.stack([*mask_losses(logits, inputs["masks"], MaskLossConfig()).values(), language]).sum()


def _spread(visual: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Visual tokens at the places of `IMAGE_ID`: (B, L, hidden)."""
    place = ((ids == IMAGE_ID).cumsum(1) - 1).clamp(min=0)
    return visual.gather(1, place.unsqueeze(-1).expand(-1, -1, visual.shape[-1]))


def measure(way: str, size: str, device: str, dtype: str, batch: int, repeats: int) -> dict[str, float]:
    config = make_config(size)
    if way == "reference":
        config.text_config._attn_implementation = "eager"
    config.drop_path_rate = 0.0  # the two passes of the reference would draw differently
    torch.manual_seed(0)
    with torch.device(device):
        model = SegEarthR1Model(config).train()
    model.vision_tower.requires_grad_(False)
    inputs = make_batch(config, batch, reply=True, device=device)
    labels = inputs["input_ids"].clone()
    labels[:, :-REPLY] = -100
    rng = np.random.default_rng(1)
    masks = torch.from_numpy(rng.random((batch, config.image_size // 32, config.image_size // 32)) < 0.2)
    inputs |= {"labels": labels, "masks": masks.repeat_interleave(32, 1).repeat_interleave(32, 2).to(device)}
    trained = [p for p in model.parameters() if p.requires_grad]
    fused = {"fused": True} if way == "ours" else {"foreach": False, "fused": False}
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, **fused)
    compute, cuda = (ours if way == "ours" else reference_way), device.startswith("cuda")
    autocast = nullcontext() if dtype == "float32" else torch.autocast(torch.device(device).type, DTYPES[dtype])

    def step() -> float:
        torch.manual_seed(1)
        with autocast:
            loss = compute(model, inputs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss)

    first = step()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": float(np.median(times)), "peak": peak / 2**20, "loss": first}


def main() -> None:
    a = read_arguments(__doc__)
    if a.way:
        print(json.dumps(measure(a.way, a.size, a.device, a.dtype, a.batch, a.repeats)))
        return
    print(f"{a.size} size, batch {a.batch}, {a.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'way':12s} {'samples/s':>9s} {'times':>6s} {'peak MiB':>9s} {'of ref.':>8s} {'first loss':>11s}")
    reference: dict[str, float] = {}
    for way in ("reference", "ours"):
        command = [sys.executable, __file__, "--way", way, "--size", a.size, "--device", a.device, "--dtype", a.dtype,
                   "--batch", str(a.batch), "--repeats", str(a.repeats)]  # fmt: skip
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        reference = reference or found
        print(f"{way:12s} {a.batch / found['seconds']:9.3f} {reference['seconds'] / found['seconds']:6.2f} "
              f"{found['peak']:9.0f} {found['peak'] / reference['peak']:8.2f} {found['loss']:11.5f}")  # fmt: skip


if __name__ == "__main__":
    main()
