"""Measure samples per second of `load_dataset` and the torch dataset, relative to decoding the files with Pillow.

python benchmarks/loading.py            600 synthetic scenes of 1,024 px
python benchmarks/loading.py --large    peak memory of reading a sample of 7,617 x 7,617 px
python benchmarks/loading.py --verify   samples per second of `earthreason verify`, 600 scenes of 512 px
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def timed(items: Iterable[object]) -> float:
    began = time.perf_counter()
    for _ in items:
        pass
    return time.perf_counter() - began


def compare(scenes: int, side: int) -> None:
    import torch
    from torch.utils.data import DataLoader, Dataset

    from earthreason import load_dataset
    from earthreason.synthetic import write_release
    from earthreason.torch import PixelReasoningDataset, collate

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["HF_DATASETS_CACHE"] = str(root / "cache")
        write_release(root / "set", scenes, seed=1, workers=2, size=(side, side))
        train = root / "set" / "train"
        pairs = [(path, train / "labels" / f"{path.stem}.png") for path in sorted((train / "images").iterdir())]

        def bare() -> Iterable[object]:
            for image, label in pairs:
                yield np.asarray(Image.open(image).convert("RGB")), np.asarray(Image.open(label))

        rows = load_dataset("earthreason", data_dir=root / "set", split="train")
        stream = load_dataset("earthreason", data_dir=root / "set", split="train", streaming=True)
        decoded = ({**row, "image": np.asarray(row["image"]), "mask": np.asarray(row["mask"])} for row in rows)
        streamed = ({**row, "image": np.asarray(row["image"]), "mask": np.asarray(row["mask"])} for row in stream)
        torch.set_num_threads(1)

        class Bare(Dataset[tuple[torch.Tensor, torch.Tensor]]):
            def __len__(self) -> int:
                return len(pairs)

            def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
                image, label = (Image.open(path) for path in pairs[number])
                return torch.from_numpy(np.array(image.convert("RGB"))), torch.from_numpy(np.array(label))

        bare_loader = DataLoader(Bare(), batch_size=4, num_workers=2)
        loader = DataLoader(PixelReasoningDataset(rows, side=1024), batch_size=4, num_workers=2, collate_fn=collate)
        base = min(timed(bare()) for _ in range(2))
        routes = {
            "Pillow, one process": base,
            "load_dataset, map-style": timed(decoded),
            "load_dataset, streaming": timed(streamed),
            "Pillow in a DataLoader, 2 workers": timed(bare_loader),
            "torch dataset, 1024 letterbox, 2 workers": timed(loader),
        }
    print(f"{len(pairs)} samples of {side} x {side}")
    for name, seconds in routes.items():
        print(f"{name:42s} {len(pairs) / seconds:7.1f} a second   {base / seconds:5.2f} x Pillow")


def verify(scenes: int = 600, side: int = 512) -> None:
    from earthreason.data.audit.verify import audit
    from earthreason.synthetic import write_release

    with tempfile.TemporaryDirectory() as folder:
        write_release(Path(folder) / "set", scenes, seed=9, workers=2, size=(side, side))
        before, began = sum(os.times()[:4]), time.perf_counter()
        result = audit(Path(folder) / "set", workers=2)
        seconds, cpu = time.perf_counter() - began, sum(os.times()[:4]) - before
    print(
        f"{scenes} samples ({result.files} files) of {side} px: {scenes / seconds:.0f} samples a second, "
        f"{1000 * cpu / scenes:.1f} ms of CPU time a sample, "
        f"{len(result.findings)} findings"
    )


def read_large() -> None:
    from earthreason.data.sources.release import SampleFiles, read_sample

    side = 7617
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        image, label, qa = root / "a.jpg", root / "a.png", root / "a.json"
        code = (
            "import numpy as np; from PIL import Image; from pathlib import Path; "
            f"x = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8); "
            f"Image.fromarray(x).resize(({side}, {side})).save({str(image)!r}); "
            f"Image.new('L', ({side}, {side}), 255).save({str(label)!r})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        qa.write_text('{"questions": ["Where?"], "answer": ["There."]}')
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        record = read_sample(SampleFiles("train", "a", image, label, qa), "a")
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{record.height} x {record.width} px: {seconds:.1f} s, peak {peak:.0f} MiB, {before:.0f} of it before reading"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--side", type=int, default=1024)
    arguments = parser.parse_args()
    if arguments.large:
        read_large()
    elif arguments.verify:
        verify()
    else:
        compare(arguments.scenes, arguments.side)


if __name__ == "__main__":
    main()
