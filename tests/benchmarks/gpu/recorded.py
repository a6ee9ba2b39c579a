"""Rows as the steps record them, and a results.json with them."""

import json

from benchmarks.gpu.plan import step_names

STEPS = step_names()
CARD = {
    "python": "3.12.3",
    "torch": "2.11.0",
    "gpu": "NVIDIA H100 80GB HBM3",
    "driver": "580.1",
    "gpu_memory_gib": 79.2,
}


def speed(way, dtype, batch, rate, peak=None):
    return {
        "way": way,
        "dtype": dtype,
        "batch": batch,
        "ms": 1000 * batch / rate,
        "images_per_s": rate,
        "peak_mib": peak,
    }


def training(way, batch, rate, checkpointing=False, peak=40000):
    facts = {"way": way, "dtype": "bfloat16", "batch": batch, "checkpointing": checkpointing}
    memory = {"peak_mib": peak, "state_mib": 25000, "activations_mib": peak - 25000}
    return {**facts, **memory, "ms": 1000 * batch / rate, "samples_per_s": rate}


INFERENCE = [
    speed("reference", "float32", 8, 10, 9000),
    speed("ours", "float32", 8, 20, 6000),
    speed("reference", "bfloat16", 8, 40, 8000),
    speed("ours", "bfloat16", 8, 90, 3000),
    {"way": "reference", "dtype": "float32", "batch": 16, "error": "out of memory"},
    {"kernel": "void gemm<float | half>", "ms": 3.25, "calls": 24, "share": 0.18, "of": "ours, bfloat16, batch 8"},
]
FROM_FILES = {"images": 200, "side": 1200, "dtype": "bfloat16", "batch": 8, "compiled": False}
TRAINED = {"steps": 3000, "samples": 384000, "batch": 128, "precision": "bf16", "parameters": 7000000}
SCORED = {"gIoU": 0.56, "low": 0.5, "high": 0.6, "N-acc": 0.7, "T-acc": 0.91}
ROWS = {
    "environment": [CARD, {"ceiling": "matrix product", "dtype": "tf32", "tflops": 400.0}],
    "gpu_tests": [
        {"test": "test_gpu.py::test_a", "outcome": "passed", "seconds": 1.2, "message": ""},
        {"test": "test_gpu.py::test_b", "outcome": "failed", "seconds": 0.1, "message": "1 | 2\n3"},
    ],
    "inference": INFERENCE,
    "end_to_end": [{**FROM_FILES, "seconds": 4.4, "images_per_s": 39.9, "model_images_per_s": 61.0}],
    "training_step": [training("reference", 2, 4), training("ours", 2, 9, peak=30000)],
    "training_scenes": [{"set": "training_scenes", "scenes": 20000, "seconds": 160.0, "per_second": 125.0}],
    "variants": [
        {"variant": "as configured", "samples": 5760, "samples_per_s": 180.0, "loss": 24.59, "gIoU": 0.325},
        {"variant": "4 visual tokens", "error": "no time was left"},
    ],
    "train_tiny": [
        {"minute": 0.5, "step": 350, "loss": 12.5, "gIoU": 0.2, "N-acc": 0.2, "T-acc": 0.95},
        {"minute": 1, "step": 700, "loss": 9.1, "gIoU": 0.41, "N-acc": 0.3, "T-acc": 0.95, "threshold": 0.4},
        {**TRAINED, "seconds": 230, "samples_per_s": 1600, "wait_share": 0.02},
    ],
    "scores": [
        {"set": "sample, test", "count": 100, "empties": 300, "rule": "chosen on validation", **SCORED},
        {"set": "sample, test", "roc": [[0.0, 1.0], [0.75, 0.92], [0.85, 0.89], [1.0, 0.0]]},
    ],
}
RUN = {
    "kit": 1,
    "rehearsal": False,
    "device": "cuda",
    "minutes": 9.0,
    "started": "2026-11-27T02:00:00+00:00",
    "seconds": 530.2,
    "finished": True,
    "commit": "abc123",
    "packed_from": "def456",
    "command": "python -m benchmarks.gpu run",
}


def write_results(folder, rows=ROWS, steps=STEPS, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    done = {"status": "ok", "limit_s": 60, "seconds": 8.1, "reason": "", "stderr": []}
    entries = [
        {"name": name, "title": name.upper(), **done, "rows": rows.get(name, []), **facts.pop(name, {})}
        for name in steps
    ]
    (folder / "results.json").write_text(json.dumps({**RUN, "steps": entries, **facts}))
    return folder
