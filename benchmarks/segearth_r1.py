"""Inference with SegEarth-R1: ours against the same computation done as the reference code does it.

    python benchmarks/segearth_r1.py                          reduced size, CPU
    python benchmarks/segearth_r1.py --size full --device cuda --batch 16 --dtype bfloat16

The reference way: the vision tower runs twice, the reply is read with the prompt, attention is a softmax over explicit
scores, and the language model's attention maps are kept. Weights are random and the same, so the masks have to agree.
Each way runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PhiConfig

from baselines.common.dtypes import DTYPES
from baselines.common.pixels import normalise
from baselines.common.prompt import IMAGE_ID
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.modeling import ImageFeatures, SegEarthR1Model

QUESTION, REPLY, BEFORE = 25, 40, 71
"""Tokens of a question of mean length, of a reply with an answer, of the rest of the prompt."""


def make_config(size: str) -> SegEarthR1Config:
    if size == "full":
        return SegEarthR1Config()
    text = PhiConfig(
        vocab_size=1000, hidden_size=512, intermediate_size=2048, num_hidden_layers=8, num_attention_heads=8,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )  # fmt: skip
    return SegEarthR1Config(
        text_config=text, image_size=512, vision_dim=64, vision_depths=(2, 2, 6, 2), vision_heads=(2, 4, 8, 16)
    )


def make_batch(config: SegEarthR1Config, batch: int, reply: bool, device: str) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    words = torch.from_numpy(rng.integers(0, config.text_config.vocab_size, (batch, BEFORE + QUESTION + REPLY)))
    image = torch.full((batch, config.visual_tokens), IMAGE_ID)
    ids = torch.cat([words[:, :56], image, words[:, 56 : None if reply else BEFORE + QUESTION]], dim=1)
    start = BEFORE + config.visual_tokens
    question = torch.zeros(ids.shape, dtype=torch.bool)
    question[:, start : start + QUESTION] = True
    side = config.image_size
    pixels = torch.from_numpy(rng.integers(0, 255, (batch, 3, side, side), dtype=np.uint8))
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "question_mask": question,
        "pixel_values": pixels,
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


@torch.inference_mode()
def run_ours(model: SegEarthR1Model, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**inputs).mask_logits


@torch.inference_mode()
def run_reference_way(model: SegEarthR1Model, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        pixels = normalise(inputs["pixel_values"]).to(model.dtype)
        visual = model.connector(model.vision_tower(pixels)[-1])
        words = model.get_input_embeddings()(inputs["input_ids"].clamp(min=0))
        words[inputs["input_ids"] == IMAGE_ID] = visual.flatten(0, 1).to(words.dtype)
        read = model.language_model(
            inputs_embeds=words, attention_mask=inputs["attention_mask"], use_cache=False, output_attentions=True
        )
        features = model.vision_tower(pixels)
        image = ImageFeatures(features[-1], visual, *model.pixel_decoder(features))
        _, logits, _ = model.decode(read.last_hidden_state, inputs["question_mask"], image)
    return logits[-1].squeeze(1)


def measure(way: str, size: str, device: str, dtype: str, batch: int, repeats: int) -> dict[str, float]:
    config = make_config(size)
    if way == "reference":
        config.text_config._attn_implementation = "eager"
    torch.manual_seed(0)
    torch.set_default_dtype(DTYPES[dtype])
    with torch.device(device):
        model = SegEarthR1Model(config).eval()
    torch.set_default_dtype(torch.float32)
    run = run_ours if way == "ours" else run_reference_way
    inputs = make_batch(config, batch, reply=way == "reference", device=device)
    logits = run(model, inputs)
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        _wait(cuda)
        began = time.perf_counter()
        run(model, inputs)
        _wait(cuda)
        times.append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    one = {name: tensor[:1] for name, tensor in inputs.items()}
    with FlopCounterMode(display=False) as counter:
        run(model, one)
    return {
        "seconds": min(times),
        "peak": peak / 2**20,
        "flops": counter.get_total_flops(),
        "check": float(logits.float().mean()),
    }


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def read_arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["reduced", "full"], default="reduced")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=["ours", "reference"], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    a = read_arguments(__doc__)
    if a.way:
        print(json.dumps(measure(a.way, a.size, a.device, a.dtype, a.batch, a.repeats)))
        return
    runs = [("reference", "float32"), ("reference", a.dtype), ("ours", a.dtype)]
    print(f"{a.size} size, batch {a.batch}, {a.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'way':12s} {'dtype':9s} {'images/s':>9s} {'times':>6s} {'peak MiB':>9s} {'GFLOP/image':>12s}")
    base = None
    for way, dtype in dict.fromkeys(runs):
        command = [sys.executable, __file__, "--way", way, "--size", a.size, "--device", a.device, "--dtype", dtype,
                   "--batch", str(a.batch), "--repeats", str(a.repeats)]  # fmt: skip
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        speed = a.batch / found["seconds"]
        base = base or speed
        print(f"{way:12s} {dtype:9s} {speed:9.2f} {speed / base:6.2f} {found['peak']:9.0f} {found['flops'] / 1e9:12.1f}"
              f"   mean logit {found['check']:.5f}")  # fmt: skip


if __name__ == "__main__":
    main()
